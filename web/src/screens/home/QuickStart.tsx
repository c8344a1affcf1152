import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useSession } from "@/api/session";
import { CodeBlock } from "@/parts";
import { DEMO, Demo, SPEC } from "./Demo";

/** From nothing to an answer in three steps, by the page or by the command line. */
export function QuickStart() {
  const { t } = useTranslation("home");
  const { Gateway } = useSession();
  const base = `${Gateway}/api/predict/${DEMO}/v1`;
  const create = `pierhead services create ${DEMO} --spec ${SPEC} --wait`;
  // The two names are those that OpenAI's clients look for.
  const ask = `export OPENAI_BASE_URL=${base}
export OPENAI_API_KEY=$(pierhead services \\
  token ${DEMO} --json | jq -r .AccessToken)
curl $OPENAI_BASE_URL/chat/completions \\
  --oauth2-bearer $OPENAI_API_KEY \\
  -H "Content-Type: application/json" \\
  -d '{"messages": [{"role": "user",
        "content": "Hello!"}]}'`;
  const code = `from openai import OpenAI

client = OpenAI()  # by the two variables
answer = client.chat.completions.create(
    model="${DEMO}",
    messages=[{"role": "user",
               "content": "Hello!"}])
print(answer.choices[0].message.content)`;
  return (
    <section className="panel" aria-labelledby="home-start">
      <h2 id="home-start">{t("start.title")}</h2>
      <ol className="steps">
        <li>
          <h3>{t("start.serve.title")}</h3>
          <p className="muted">{t("start.serve.about")}</p>
          <Demo />
          <CodeBlock code={create} label={t("start.serve.command")} wrap />
        </li>
        <li>
          <h3>{t("start.ask.title")}</h3>
          <p className="muted">
            {t("start.ask.about")}{" "}
            <Link to="/playground" search={{ a: DEMO }}>
              {t("start.ask.playground")}
            </Link>
          </p>
          <CodeBlock code={ask} label={t("start.ask.command")} wrap />
        </li>
        <li>
          <h3>{t("start.use.title")}</h3>
          <p className="muted">
            {t("start.use.about")} <Link to="/explorer">{t("start.use.explorer")}</Link>
          </p>
          <CodeBlock code={code} label={t("start.use.code")} wrap />
        </li>
      </ol>
    </section>
  );
}
