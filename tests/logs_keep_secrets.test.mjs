// Logs tell what happened, never who said what: no words, no ids that open something, no keys; and nobody forges a line.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { startUpstream, reply, serverError, invalidKey } from "./upstream.mjs";
import { startStack, waitFor, unique } from "./harness.mjs";

let upstream, stack;
const key = "sk-live-4f9a8b7c6d5e4f3a2b1c";

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { OPENAI_API_KEY: key, TURN_TIMEOUT: "3000", LOG_LEVEL: "debug" } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

test("nothing of a conversation is in any log", async () => {
	const user = unique("person");
	const word = unique("secretword");
	const answered = unique("answerword");
	const clientMessageId = unique("client");
	upstream.otherwise = reply(`It is ${answered}`);
	const sessionId = await stack.session(user, { note: word });
	await stack.say(sessionId, `I said ${word}`, { userId: user, clientMessageId }, { "idempotency-key": unique("idem"), referer: `http://x/${sessionId}` });
	await stack.say(sessionId, `urgent ${word}`, { userId: user });
	await stack.get(`/api/v1/chat/history/${sessionId}`);
	await stack.get(`/api/v1/chat/history/${sessionId}/`);
	await stack.get(`/api/v1/chat/history/${sessionId}/extra`);
	await stack.get(`/api/v1/chat/history//${sessionId}`);
	await stack.get(`/api/v1/chat/unknown/${sessionId}?sessionId=${sessionId}`);
	await stack.get(`/?sessionId=${sessionId}`);
	await stack.get(`/nowhere/${sessionId}`);
	await stack.message(sessionId, { [word]: word });
	await stack.post("/api/v1/chat/message", `{"message":"${word}`);
	await stack.message(sessionId, word, { userId: "thief" });
	upstream.next(serverError(500, { error: { message: `upstream repeats ${word}` } }), invalidKey());
	await stack.say(sessionId, `fails ${word}`, { userId: user });
	const polled = await stack.client({ transports: ["polling"] });
	const engineId = polled.socket.io.engine.id;
	await polled.ask("join-chat", { userId: user, sessionId });
	await polled.ask("send-message", { sessionId, message: `socket ${word}`, userId: user });
	await polled.when("message-received", (m) => m.isBot);
	const upgraded = await stack.client({ transports: ["websocket"] });
	await upgraded.ask("join-chat", { userId: user, sessionId: 5, [word]: word });

	const sealing = stack.files().filter((f) => f.includes("/secrets/") && statSync(f).isFile()).map((f) => readFileSync(f, "latin1").trim());
	const log = stack.log();
	assert.ok(log.length > 500, "there are logs");
	for (const secret of [user, word, answered, clientMessageId, sessionId, engineId, key, key.slice(0, 12), "sk-test", ...sealing.filter((s) => s.length > 8)])
		assert.ok(!log.includes(secret), `a log contains ${secret.slice(0, 40)}: ${log.split("\n").find((l) => l.includes(secret))}`);
	assert.ok(!JSON.stringify(await stack.status()).includes(key));
	assert.ok(!stack.printed.includes(key));
});

test("a request's line tells the way, the status and the request id", async () => {
	const res = await stack.get("/api/v1/chat/history/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	const line = await waitFor("the request id is in a log", () => stack.log().split("\n").find((l) => l.includes(res.headers["x-request-id"])));
	assert.match(line, /404/);
	assert.match(line, /GET/);
	assert.doesNotMatch(line, /AAAAAAAA/);
});

test("nobody forges a line", async () => {
	await stack.get("/x%0aforged-line-1%0d%0aforged-line-2");
	await stack.get("/y", { "user-agent": "agent \"quoted\" \\x0aforged-line-3" });
	await stack.post("/api/v1/chat/session", { userId: "a\nforged-line-4" });
	await stack.raw("GET /z\r\nforged-line-5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (const line of stack.log().split("\n"))
		assert.doesNotMatch(line, /^forged-line/);
});

test("errors told to clients show nothing of the inside", async () => {
	for (const res of [await stack.get("/nowhere"), await stack.post("/api/v1/chat/message", "{"), await stack.call("PUT", "/api/v1/chat/session", { body: {} }),
		await stack.get("/api/v1/chat/history/x"), await stack.get("/.env"), await stack.get("/../../etc/passwd")])
		assert.doesNotMatch(res.text, /\/(?:work|tmp|home|root|run)\/|\.sock|lib\/|\.c:\d|0x[0-9a-f]{6}|redis:|nginx\/|libcurl/i);
});

test("the environment of the programs holds no key that others can read", async () => {
	for (const { pid } of await stack.programs()) {
		const mode = statSync(`/proc/${pid}/environ`).mode & 0o077;
		assert.equal(mode, 0);
		assert.ok(!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(key), "no key on a command line");
	}
});
