import { App } from "./app.js";

const app = new App();
globalThis.retimbre = app;   // for tests, and for a look inside from the browser's console
await app.start();
