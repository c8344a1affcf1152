/* A fast double of an engine: what a gateway costs shows only where its replicas cost next to nothing.
 *
 *   stub -p PORT -n NAME [-t TOKENS] [-g GAP_US] [-d DELAY_MS]
 *
 * One thread, one epoll, HTTP/1.1 keep-alive on 127.0.0.1. What it does depends on the request:
 *   "stream":true in the body   TOKENS events (or as many as the body's max_tokens), GAP_US apart, then
 *                               one with the usage if the body asks include_usage, then [DONE]
 *   path has /big?bytes=N       N bytes, as fast as the client reads
 *   path has /stat              its counters as JSON
 *   other GETs                  a list of one model
 *   anything else               a chat completion of about 1 KB, after DELAY_MS
 * Each token carries the time it was sent at, as @CLOCK_MONOTONIC in ns@; each answer has x-replica: NAME.
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

#define CONNECTIONS 20000
#define LISTENER UINT32_MAX
#define NOBODY (-1)

typedef enum { READING, STREAMING, WAITING, FILLING } State;

typedef struct {
  int fd, next;       /* next: in the line of those who wait for the same kind of thing */
  State state;
  int gone;           /* the client left while it was owed something */
  int sent, tokens, tells_usage;
  long long due;
  long filler;        /* bytes of a big answer still to be made up */
  char *in, *out;
  size_t in_used, in_size, out_used, out_size;
} Connection;

typedef struct { int first, last; } Line; /* in order of `due`: all in a line wait equally long */

static Connection all[CONNECTIONS];
static Line streams = {NOBODY, NOBODY}, delayed = {NOBODY, NOBODY};
static struct { long requests, streams, usage_asked, prompt, completion, left; int busy; } count;
static int poller, tokens = 64, delay_ms;
static long long gap = 5000000;
static const char *name = "stub";
static char answer[4096], filler[65536];
static size_t answer_size;

static const char EVENT[] =
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"m\",\"choices\":[";

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void stand(Line *line, int who) {
  all[who].next = NOBODY;
  if (line->last == NOBODY) line->first = who;
  else all[line->last].next = who;
  line->last = who;
}

static int call(Line *line) {
  int who = line->first;
  line->first = all[who].next;
  if (line->first == NOBODY) line->last = NOBODY;
  return who;
}

static void reserve(char **at, size_t *size, size_t wanted) {
  if (wanted <= *size) return;
  size_t grown = *size ? *size : 4096;
  while (grown < wanted) grown *= 2;
  *at = realloc(*at, grown);
  *size = grown;
}

static void watch(int who) {
  Connection *c = &all[who];
  int writes = c->out_used || c->state == FILLING;
  struct epoll_event e = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.u32 = who};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void hang_up(int who) {
  Connection *c = &all[who];
  if (c->fd < 0) return;
  close(c->fd);
  c->fd = -1;
  c->in_used = c->out_used = 0;
}

/* Sends what the socket takes; keeps the rest for when it takes more. */
static void say(int who, const char *data, size_t size) {
  Connection *c = &all[who];
  while (size && !c->out_used) {
    ssize_t went = send(c->fd, data, size, MSG_NOSIGNAL);
    if (went < 0 && errno == EAGAIN) break;
    if (went < 0) { c->gone = 1; return; }
    data += went;
    size -= went;
  }
  if (!size) return;
  reserve(&c->out, &c->out_size, c->out_used + size);
  memcpy(c->out + c->out_used, data, size);
  c->out_used += size;
  watch(who);
}

static void say_json(int who, const char *body, size_t size) {
  char head[300];
  int n = snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                   "X-Replica: %s\r\n\r\n", size, name);
  say(who, head, n);
  say(who, body, size);
}

static const char *find(const char *in, size_t size, const char *what) {
  return memmem(in, size, what, strlen(what));
}

/* Size of the request that the buffer begins with, its head in *head; 0 = it is not whole yet. */
static size_t whole(const Connection *c, size_t *head) {
  const char *end = find(c->in, c->in_used, "\r\n\r\n");
  if (!end) return 0;
  *head = end - c->in + 4;
  size_t body = 0;
  for (const char *line = c->in; line < end; line = find(line, end + 2 - line, "\r\n") + 2) {
    if (!strncasecmp(line, "content-length:", 15)) body = strtoul(line + 15, 0, 10);
    if (!strncasecmp(line, "transfer-encoding:", 18)) { /* chunked is the only one we are sent */
      const char *last = find(end + 2, c->in + c->in_used - end - 2, "\r\n0\r\n\r\n");
      return last ? (size_t)(last - c->in) + 7 : 0;
    }
  }
  return *head + body <= c->in_used ? *head + body : 0;
}

static void begin_stream(int who, const char *body, size_t size) {
  Connection *c = &all[who];
  const char *most = find(body, size, "\"max_tokens\":");
  char head[300];
  count.streams++;
  count.busy++;
  c->state = STREAMING;
  c->sent = 0;
  c->tokens = most ? atoi(most + 13) : tokens;
  c->tells_usage = find(body, size, "\"include_usage\":true") || find(body, size, "\"include_usage\": true");
  count.usage_asked += c->tells_usage;
  count.prompt += 9;
  say(who, head, snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                          "X-Replica: %s\r\nTransfer-Encoding: chunked\r\n\r\n", name));
  c->due = now() + gap;
  stand(&streams, who);
}

static void begin_filling(int who, const char *line) {
  Connection *c = &all[who];
  char head[200];
  const char *asked = strstr(line, "bytes=");
  int little = 65536; /* what the kernel holds of it is then the gateway's to answer for */
  setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
  c->filler = asked ? atol(asked + 6) : 1 << 20;
  c->state = FILLING;
  say(who, head, snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                          "Content-Length: %ld\r\nX-Replica: %s\r\n\r\n", c->filler, name));
  watch(who);
}

static void say_state(int who) {
  char text[400];
  int n = snprintf(text, sizeof text,
                   "{\"name\":\"%s\",\"requests\":%ld,\"streams\":%ld,\"usage_asked\":%ld,\"prompt\":%ld,"
                   "\"completion\":%ld,\"left\":%ld,\"busy\":%d}", name, count.requests, count.streams,
                   count.usage_asked, count.prompt, count.completion, count.left, count.busy);
  say_json(who, text, n);
}

static void complete(int who) {
  count.prompt += 9;
  count.completion += 12;
  say(who, answer, answer_size);
}

static void serve(int who, const char *head, size_t head_size, const char *body, size_t body_size) {
  static const char MODELS[] =
      "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\",\"owned_by\":\"stub\"}]}";
  char line[1024] = "";
  const char *end = find(head, head_size, "\r\n");
  size_t length = (size_t)(end - head) < sizeof line ? (size_t)(end - head) : sizeof line - 1;
  memcpy(line, head, length);
  if (strstr(line, "/stat")) say_state(who);
  else if (strstr(line, "/big")) begin_filling(who, line);
  else if (!strncmp(line, "GET ", 4)) say_json(who, MODELS, sizeof MODELS - 1);
  else if (find(body, body_size, "\"stream\":true") || find(body, body_size, "\"stream\": true"))
    begin_stream(who, body, body_size);
  else {
    count.requests++;
    if (!delay_ms) { complete(who); return; }
    count.busy++;
    all[who].state = WAITING;
    all[who].due = now() + delay_ms * 1000000LL;
    stand(&delayed, who);
  }
}

/* Answers one request after the other, until one takes time or the next is not whole. */
static void go_on(int who) {
  Connection *c = &all[who];
  size_t size, head;
  while (c->fd >= 0 && c->state == READING && !c->gone && (size = whole(c, &head))) {
    serve(who, c->in, head, c->in + head, size - head);
    memmove(c->in, c->in + size, c->in_used - size);
    c->in_used -= size;
  }
  if (c->gone && c->state == READING) hang_up(who);
}

static int chunk(char *to, const char *event, int size) {
  return sprintf(to, "%x\r\n%.*s\r\n", size, size, event);
}

static void say_token(int who) {
  char event[400], framed[500];
  int n = snprintf(event, sizeof event,
                   "%s{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"@%lld@\"},"
                   "\"finish_reason\":null}]}\n\n", EVENT, now());
  say(who, framed, chunk(framed, event, n));
  all[who].sent++;
  count.completion++;
}

static void say_end(int who) {
  Connection *c = &all[who];
  char event[400], framed[1600];
  int n = snprintf(event, sizeof event,
                   "%s{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", EVENT);
  int at = chunk(framed, event, n);
  if (c->tells_usage) {
    n = snprintf(event, sizeof event,
                 "%s],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                 EVENT, c->sent, c->sent + 9);
    at += chunk(framed + at, event, n);
  }
  at += chunk(framed + at, "data: [DONE]\n\n", 14);
  at += sprintf(framed + at, "0\r\n\r\n");
  say(who, framed, at);
}

static void end_turn(int who) {
  Connection *c = &all[who];
  count.busy--;
  c->state = READING;
  if (c->gone) { count.left++; hang_up(who); }
  else go_on(who);
}

static void on_time(long long t) {
  while (streams.first != NOBODY && all[streams.first].due <= t) {
    int who = call(&streams);
    Connection *c = &all[who];
    if (c->gone) end_turn(who);
    else if (c->sent < c->tokens) {
      say_token(who);
      c->due = c->due + gap < t ? t : c->due + gap;
      stand(&streams, who);
    } else {
      say_end(who);
      end_turn(who);
    }
  }
  while (delayed.first != NOBODY && all[delayed.first].due <= t) {
    int who = call(&delayed);
    if (!all[who].gone) complete(who);
    end_turn(who);
  }
}

static void on_writable(int who) {
  Connection *c = &all[who];
  if (c->out_used) {
    ssize_t went = send(c->fd, c->out, c->out_used, MSG_NOSIGNAL);
    if (went < 0 && errno != EAGAIN) c->gone = 1;
    if (went > 0) memmove(c->out, c->out + went, c->out_used -= went);
  }
  while (c->state == FILLING && !c->out_used && !c->gone) {
    size_t most = c->filler < (long)sizeof filler ? (size_t)c->filler : sizeof filler;
    ssize_t went = most ? send(c->fd, filler, most, MSG_NOSIGNAL) : 0;
    if (went < 0 && errno == EAGAIN) break;
    if (went < 0) c->gone = 1;
    else if (!(c->filler -= went)) c->state = READING;
  }
  if (c->gone && c->state == FILLING) { c->state = READING; count.left++; }
  if (c->state == READING) go_on(who);
  if (c->fd >= 0) watch(who);
}

static void on_readable(int who) {
  Connection *c = &all[who];
  reserve(&c->in, &c->in_size, c->in_used + 4096);
  ssize_t came = recv(c->fd, c->in + c->in_used, c->in_size - c->in_used, 0);
  if (came < 0 && errno == EAGAIN) return;
  if (came > 0) {
    c->in_used += came;
    go_on(who);
  } else if (c->state == STREAMING || c->state == WAITING) {
    c->gone = 1; /* it stands in a line, which it leaves when its time has come */
    epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, 0);
  } else hang_up(who);
}

static void welcome(int listener) {
  static int hint;
  int fd, on = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    int tried = 0;
    while (tried < CONNECTIONS && all[hint % CONNECTIONS].fd >= 0) { hint++; tried++; }
    if (tried == CONNECTIONS) { close(fd); continue; }
    int who = hint++ % CONNECTIONS;
    Connection *c = &all[who];
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    c->state = READING;
    c->gone = c->in_used = c->out_used = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = who};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

static int opened(int port) {
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
    perror("stub");
    exit(1);
  }
  return fd;
}

static void prepare(void) {
  char body[1200], padding[761];
  memset(padding, 'a', 760);
  padding[760] = 0;
  memset(filler, 'b', sizeof filler);
  int n = snprintf(body, sizeof body,
                   "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\","
                   "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
                   "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,"
                   "\"total_tokens\":21}}", padding);
  answer_size = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                         "X-Replica: %s\r\n\r\n%s", n, name, body);
  for (int i = 0; i < CONNECTIONS; i++) all[i].fd = -1;
}

int main(int argc, char **argv) {
  int option, port = 0;
  while ((option = getopt(argc, argv, "p:n:t:g:d:")) != -1) {
    if (option == 'p') port = atoi(optarg);
    else if (option == 'n') name = optarg;
    else if (option == 't') tokens = atoi(optarg);
    else if (option == 'g') gap = atoll(optarg) * 1000;
    else if (option == 'd') delay_ms = atoi(optarg);
    else return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  prepare();
  int listener = opened(port);
  struct epoll_event e = {.events = EPOLLIN, .data.u32 = LISTENER}, events[512];
  poller = epoll_create1(0);
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    long long due = streams.first != NOBODY ? all[streams.first].due : -1;
    if (delayed.first != NOBODY && (due < 0 || all[delayed.first].due < due)) due = all[delayed.first].due;
    long long wait = due < 0 ? -1 : due - now();
    if (due >= 0 && wait < 0) wait = 0;
    struct timespec pause = {wait / 1000000000, wait % 1000000000};
    int n = epoll_pwait2(poller, events, 512, wait < 0 ? 0 : &pause, 0);
    for (int i = 0; i < n; i++) {
      if (events[i].data.u32 == LISTENER) { welcome(listener); continue; }
      int who = events[i].data.u32;
      if (all[who].fd >= 0 && events[i].events & EPOLLOUT) on_writable(who);
      if (all[who].fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(who);
    }
    on_time(now());
  }
}
