import { createRoot } from "react-dom/client";
import { startTexts } from "@/i18n";
import { App } from "./app";
import "./app.css";
import { startRenewing } from "./renewed";

startRenewing();

await startTexts();
createRoot(document.getElementById("root")!).render(<App />);
