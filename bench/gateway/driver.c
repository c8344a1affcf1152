/* Puts load on a gateway and says what became of it, as one line of JSON.
 *
 *   driver MODE -p PORT -u PATH -a AUTHORIZATION [-m MODEL] [-c CONNECTIONS] [-s SECONDS] [-r PER_SECOND]
 *          [-n TOKENS] [-w SECONDS] [-v]
 *
 *   closed   every connection asks again as soon as it is answered
 *   open     PER_SECOND requests, answered or not; times count from when each was due to be sent, so a
 *            gateway that stalls cannot hide the requests that it kept from being sent
 *   stream   as closed, but streams of TOKENS tokens that do not ask for their usage
 *   hold     one stream per connection, held until the end or SIGTERM; none may end or break before
 *
 * One thread, one epoll, HTTP/1.1 keep-alive to 127.0.0.1. After SECONDS, -w SECONDS are left for what is
 * still on its way. A stream is broken if a token is missing, or if it tells a usage nobody asked for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 4000000
#define TAIL 7 /* as long as what is looked for across reads: "usage" in quotes */

typedef enum { CLOSED, OPEN, STREAM, HOLD } Mode;
typedef enum { FREE, HEAD, BODY } State;

typedef struct {
  int fd, used; /* used: it was answered before, so its closing may be a keep-alive that ran out */
  State state;
  int status, chunked, tokens, in_stamp, usage;
  long length, had;
  long long due, stamp;
  char head[4096], tail[TAIL];
  int head_used, tail_used;
} Connection;

typedef struct { float *at; long used; } Samples;

static Connection *all;
static Mode mode;
static int port, connections = 8, wanted = 64, poller, verbose, request_size;
static char request[4096];
static double seconds = 1, per_second = 50, grace = 3;
static Samples latency, first_token, token_delay;
static volatile sig_atomic_t stopped;
static struct {
  long ok, failed, refused, resets, resent, complete, broken, usage, early;
  long statuses[600];
} count;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void add(Samples *to, long long nanoseconds) {
  if (to->used < SAMPLES) to->at[to->used++] = nanoseconds / 1e3;
}

static int reach(Connection *c) {
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  c->used = 0;
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at)) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    count.refused++;
    return 0;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {.events = EPOLLIN, .data.u32 = c - all};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
  return 1;
}

static void drop(Connection *c) {
  close(c->fd);
  c->fd = -1;
}

static void ask(Connection *c, long long due) {
  for (int tries = 0; tries < 2; tries++) {
    if (c->fd < 0 && !reach(c)) break;
    c->state = HEAD;
    c->due = due;
    c->status = c->chunked = c->tokens = c->in_stamp = c->usage = c->head_used = c->tail_used = 0;
    c->length = -1;
    c->had = 0;
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) == request_size) return;
    drop(c);
  }
  c->state = FREE;
  count.failed++;
}

static void answered(Connection *c, int whole) {
  int streams = mode == STREAM || mode == HOLD, good = whole && c->status == 200;
  c->state = FREE;
  if (c->status > 0 && c->status < 600) count.statuses[c->status]++;
  if (good) {
    count.ok++;
    add(&latency, now() - c->due);
  } else count.failed++;
  if (streams) {
    if (good && c->tokens == wanted && !c->usage) count.complete++;
    else count.broken++;
    if (mode == HOLD) count.early++;
  }
  if (verbose && (!good || (streams && c->tokens != wanted)))
    fprintf(stderr, "status %d, %d tokens, %s\n", c->status, c->tokens, whole ? "whole" : "cut off");
}

static void see_usage(Connection *c, const char *data, long size) {
  char joint[2 * TAIL];
  long begin = size < TAIL - 1 ? size : TAIL - 1;
  memcpy(joint, c->tail, c->tail_used);
  memcpy(joint + c->tail_used, data, begin);
  if (memmem(data, size, "\"usage\"", TAIL) || memmem(joint, c->tail_used + begin, "\"usage\"", TAIL)) {
    if (!c->usage) count.usage++;
    c->usage = 1;
  }
}

static void keep_tail(Connection *c, const char *data, long size) {
  long keep = size < TAIL - 1 ? size : TAIL - 1, old = TAIL - 1 - keep;
  if (old > c->tail_used) old = c->tail_used;
  memmove(c->tail, c->tail + c->tail_used - old, old);
  memcpy(c->tail + old, data + size - keep, keep);
  c->tail_used = old + keep;
}

static void see_tokens(Connection *c, const char *data, long size) {
  const char *end = data + size;
  while (data < end) {
    if (!c->in_stamp) {
      if (!(data = memchr(data, '@', end - data))) return;
      c->in_stamp = 1;
      c->stamp = 0;
    } else if (*data >= '0' && *data <= '9') c->stamp = c->stamp * 10 + *data - '0';
    else {
      c->in_stamp = 0;
      if (*data == '@' && c->stamp > 1000000) {
        long long t = now();
        if (!c->tokens++) add(&first_token, t - c->due);
        add(&token_delay, t - c->stamp);
      }
    }
    data++;
  }
}

/* Is the answer whole with this part of its body? */
static int take(Connection *c, const char *data, long size) {
  if (mode == STREAM || mode == HOLD) {
    see_usage(c, data, size);
    see_tokens(c, data, size);
  }
  keep_tail(c, data, size);
  c->had += size;
  if (c->length >= 0) return c->had >= c->length;
  return c->chunked && c->tail_used >= 5 && !memcmp(c->tail + c->tail_used - 5, "0\r\n\r\n", 5);
}

/* Bytes of the body that came with the head's end; -1 = the head has not ended. */
static int take_head(Connection *c, const char *data, int size, const char **body) {
  int room = (int)sizeof c->head - 1 - c->head_used, before = c->head_used;
  int kept = size < room ? size : room;
  memcpy(c->head + c->head_used, data, kept);
  c->head_used += kept;
  c->head[c->head_used] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (!end) return -1;
  end[2] = 0;
  c->status = atoi(c->head + 9);
  for (char *line = c->head; line && *line; line = strstr(line, "\r\n")) {
    if (*line == '\r') line += 2;
    if (!strncasecmp(line, "content-length:", 15)) c->length = atol(line + 15);
    if (!strncasecmp(line, "transfer-encoding:", 18)) c->chunked = 1;
  }
  c->state = BODY;
  c->used = 1;
  int skipped = end + 4 - c->head - before;
  *body = data + skipped;
  return size - skipped;
}

static void lost(Connection *c) {
  drop(c);
  if (c->state == FREE) return;
  if (c->state == HEAD && !c->head_used && c->used) { /* idle for too long, before our request came */
    count.resent++;
    ask(c, c->due);
  } else if (c->state == BODY && !c->chunked && c->length < 0) answered(c, 1);
  else {
    count.resets++;
    answered(c, 0);
  }
}

static void on_readable(Connection *c) {
  static char data[65536];
  const char *body = data;
  int size = recv(c->fd, data, sizeof data, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) { lost(c); return; }
  if (c->state == FREE) return;
  if (c->state == HEAD && (size = take_head(c, data, size, &body)) < 0) return;
  if (take(c, body, size)) answered(c, 1);
}

static Connection *idle(void) {
  for (int i = 0; i < connections; i++)
    if (all[i].state == FREE) return &all[i];
  return 0;
}

static void read_all(long long wait) {
  struct epoll_event events[512];
  struct timespec pause = {wait / 1000000000, wait % 1000000000};
  int n = epoll_pwait2(poller, events, 512, &pause, 0);
  for (int i = 0; i < n; i++)
    if (all[events[i].data.u32].fd >= 0) on_readable(&all[events[i].data.u32]);
}

static int open_requests(void) {
  int open = 0;
  for (int i = 0; i < connections; i++) open += all[i].state != FREE;
  return open;
}

static void press(long long begin, long long end) {
  (void)begin; /* closed, stream */
  while (now() < end) {
    for (int i = 0; i < connections && now() < end; i++)
      if (all[i].state == FREE) ask(&all[i], now());
    read_all(20000000);
  }
}

static void keep_pace(long long begin, long long end) { /* open */
  long sent = 0;
  double apart = 1e9 / per_second;
  for (long long t; (t = now()) < end;) {
    Connection *c;
    while (t >= begin + (long long)(sent * apart) && (c = idle())) ask(c, begin + (long long)(sent++ * apart));
    long long wait = begin + (long long)(sent * apart) - now();
    read_all(wait < 0 ? 0 : wait > 1000000 ? 1000000 : wait);
  }
}

static void hold(long long begin, long long end) {
  (void)begin;
  for (int i = 0; i < connections && now() < end && !stopped; i++) {
    ask(&all[i], now());
    if (i % 32 == 31) read_all(1000000);
  }
  while (now() < end && !stopped) read_all(20000000);
}

static void on_term(int number) {
  (void)number;
  stopped = 1;
}

static int ascending(const void *one, const void *other) {
  float a = *(const float *)one, b = *(const float *)other;
  return a < b ? -1 : a > b;
}

static void print_times(const char *what, Samples *of) {
  static const struct { const char *name; double share; } of_all[] = {
      {"p50", .5}, {"p90", .9}, {"p99", .99}, {"max", 1}};
  qsort(of->at, of->used, sizeof *of->at, ascending);
  for (int i = 0; i < 4; i++)
    printf(",\"%s_%s_us\":%.1f", what, of_all[i].name,
           of->used ? of->at[(long)(of_all[i].share * (of->used - 1))] : 0.0);
}

static void print_all(double took, int unfinished) {
  printf("{\"ok\":%ld,\"failed\":%ld,\"refused\":%ld,\"resets\":%ld,\"resent\":%ld,\"unfinished\":%d",
         count.ok, count.failed, count.refused, count.resets, count.resent, unfinished);
  printf(",\"streams\":%ld,\"broken\":%ld,\"usage_seen\":%ld,\"early\":%ld,\"tokens\":%ld", count.complete,
         count.broken, count.usage, count.early, token_delay.used);
  printf(",\"seconds\":%.3f,\"per_second\":%.1f", took, count.ok / took);
  print_times("request", &latency);
  print_times("first", &first_token);
  print_times("token", &token_delay);
  const char *comma = "";
  printf(",\"statuses\":{");
  for (int i = 0; i < 600; i++)
    if (count.statuses[i]) { printf("%s\"%d\":%ld", comma, i, count.statuses[i]); comma = ","; }
  printf("}}\n");
}

static void prepare(const char *path, const char *authorization, const char *model) {
  char body[900];
  int streams = mode == STREAM || mode == HOLD;
  int n = snprintf(body, sizeof body,
                   "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Please write two friendly "
                   "paragraphs about a harbour at night, its pilots, and the ships that wait outside for one of "
                   "the piers to become free; no more than a hundred words.\"}],\"max_tokens\":%d,"
                   "\"temperature\":0.7,\"stream\":%s}", model, wanted, streams ? "true" : "false");
  request_size = snprintf(request, sizeof request,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: %s\r\n"
                          "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                          path, port, authorization, n, body);
  Samples *kinds[] = {&latency, &first_token, &token_delay};
  for (int i = 0; i < 3; i++) kinds[i]->at = malloc(SAMPLES * sizeof(float));
  all = calloc(connections, sizeof *all);
  for (int i = 0; i < connections; i++) all[i].fd = -1;
  poller = epoll_create1(0);
}

int main(int argc, char **argv) {
  static const char *names[] = {"closed", "open", "stream", "hold"};
  const char *path = "/", *authorization = "", *model = "m";
  int option, known = 0;
  for (int i = 0; argc > 1 && i < 4; i++)
    if (!strcmp(argv[1], names[i])) { mode = i; known = 1; }
  while (known && (option = getopt(argc - 1, argv + 1, "p:u:a:m:c:s:r:n:w:v")) != -1) switch (option) {
      case 'p': port = atoi(optarg); break;
      case 'u': path = optarg; break;
      case 'a': authorization = optarg; break;
      case 'm': model = optarg; break;
      case 'c': connections = atoi(optarg); break;
      case 's': seconds = atof(optarg); break;
      case 'r': per_second = atof(optarg); break;
      case 'n': wanted = atoi(optarg); break;
      case 'w': grace = atof(optarg); break;
      case 'v': verbose = 1; break;
      default: known = 0;
    }
  if (!known || !port) { fprintf(stderr, "usage: see the head of driver.c\n"); return 2; }
  prepare(path, authorization, model);
  signal(SIGTERM, on_term);
  long long begin = now(), end = begin + (long long)(seconds * 1e9), last = end + (long long)(grace * 1e9);
  (mode == OPEN ? keep_pace : mode == HOLD ? hold : press)(begin, end);
  int unfinished = open_requests();
  while (mode != HOLD && unfinished && now() < last) {
    read_all(20000000);
    unfinished = open_requests();
  }
  print_all((now() - begin) / 1e9, unfinished);
}
