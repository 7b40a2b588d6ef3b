// A bot on tmi.js as it is. Reads commands from its standard input, one JSON array each: a method of the
// client and its arguments. Writes what the client resolves, rejects and emits, one JSON object a line.
"use strict";

const readline = require("node:readline");
const tmi = require("tmi.js");

const [host, port, username, password] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const client = new tmi.Client({
  connection: { server: host, port: Number(port), secure: false, reconnect: false },
  // Its list of emotes would come from Twitch's own servers.
  options: { skipUpdatingEmotesets: true },
  identity: password ? { username, password: `oauth:${password}` } : {},
  logger: { setLevel() {}, info() {}, warn: (text) => tell({ log: text }), error: (text) => tell({ log: text }) },
});
// It gives up on an answer after 0.6 s, unless the server is far away.
client.currentLatency = 10_000;
const events = [
  "action", "ban", "chat", "clearchat", "disconnected", "emoteonly", "followersonly", "messagedeleted",
  "notice", "r9kbeta", "raided", "slowmode", "subscribers", "timeout", "usernotice",
];
for (const event of events) client.on(event, (...values) => tell({ event, values }));

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const [id, method, ...values] = JSON.parse(line);
  try {
    tell({ id, resolved: await client[method](...values) });
  } catch (reason) {
    tell({ id, rejected: String(reason) });
  }
}).on("close", () => process.exit(0));
