// Every event of the Socket.IO table, over each way of the unmodified socket.io-client, with acknowledgements.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, Client, ISO } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const ways = {
	"long-polling": { transports: ["polling"] },
	websocket: { transports: ["websocket"] },
	"the upgrade": {},
};

async function connected(way) {
	const client = await stack.client(ways[way]);
	if (way === "the upgrade" && client.transport !== "websocket")
		await once(client.socket.io.engine, "upgrade");
	assert.equal(client.transport, way === "long-polling" ? "polling" : "websocket");
	return client;
}

for (const way of Object.keys(ways))
	describe(`over ${way}`, () => {
		test("join-chat creates a session", async () => {
			const client = await connected(way);
			client.emit("join-chat", { userId: "visitor-1" });
			const joined = await client.when("chat-joined");
			assert.match(joined.sessionId, /^[\w-]{22,}$/);
			const res = await stack.get(`/api/v1/chat/history/${joined.sessionId}`);
			assert.equal(res.json.sessionData.userId, "visitor-1");
			client.close();
		});

		test("join-chat joins a session that REST made", async () => {
			const id = await stack.session();
			const client = await connected(way);
			const ack = await client.ask("join-chat", { userId: "visitor-1", sessionId: id });
			assert.equal(ack.ok, true);
			assert.equal((await client.when("chat-joined")).sessionId, id);
			client.close();
		});

		test("send-message is acknowledged and answered", async () => {
			upstream.next(said("The answer is forty-two.", { confidence: 0.88 }, { tokenDelay: 5 }));
			const client = await connected(way);
			const sessionId = await client.join();
			const ack = await client.ask("send-message", { sessionId, message: "What is it?", userId: "visitor-1", clientMessageId: "c-1" });
			assert.equal(ack.ok, true);
			const got = await client.when("message-received", (m) => m.isBot !== false);
			assert.equal(got.message, "The answer is forty-two.");
			assert.equal(got.isBot, true);
			assert.match(got.timestamp, ISO);
			assert.equal(got.needsEscalation, false);
			assert.equal(got.confidence, 0.88);
			assert.ok(typeof got.id === "string" && got.id);
			assert.ok(Number.isInteger(got.seq));
			assert.ok(typeof got.provider === "string");
			assert.equal(got.clientMessageId, "c-1");
			const history = await stack.history(sessionId);
			assert.deepEqual(history.map((m) => m.role), ["user", "assistant"]);
			assert.equal(history[1].id, got.id);
			assert.equal(history[1].seq, got.seq);
			client.close();
		});

		test("deltas add up to the answer, and typing starts and ends", async () => {
			const answer = "A rather long answer, told one word after the other 🙂 ü.";
			upstream.next(reply(answer, { tokenDelay: 15 }));
			const client = await connected(way);
			const sessionId = await client.join();
			client.emit("send-message", { sessionId, message: "Tell me", userId: "visitor-1" });
			const got = await client.when("message-received", (m) => m.isBot);
			await client.when("typing", (on) => on === false);
			const deltas = client.all("message-delta");
			assert.ok(deltas.length > 1, "more than one delta");
			assert.equal(deltas.map((d) => d.text).join(""), answer);
			assert.deepEqual(deltas.map((d) => d.index), deltas.map((_, i) => deltas[0].index + i));
			for (const d of deltas) {
				assert.equal(d.id, got.id, "a delta names the message that it becomes");
				assert.equal(d.attempt, deltas[0].attempt);
				assert.ok(Number.isInteger(d.attempt) && Number.isInteger(d.index));
			}
			const typing = client.all("typing");
			assert.deepEqual(typing, [true, false]);
			const names = client.events.map((e) => e.name);
			assert.ok(names.indexOf("typing") < names.indexOf("message-delta"));
			assert.ok(names.lastIndexOf("message-delta") < names.lastIndexOf("message-received"), "the whole message comes after its deltas");
			client.close();
		});

		test("a keyword escalates to the session's own sockets only", async () => {
			const client = await connected(way);
			const stranger = await stack.client(ways[way]);
			await stranger.join({ userId: "stranger" });
			const sessionId = await client.join();
			client.emit("send-message", { sessionId, message: "This is an EMERGENCY!", userId: "visitor-1" });
			const escalation = await client.when("escalation-needed");
			assert.equal(escalation.sessionId, sessionId);
			assert.equal(escalation.userId, "visitor-1");
			assert.equal(escalation.originalMessage, "This is an EMERGENCY!");
			assert.ok(typeof escalation.message === "string" && escalation.message);
			assert.match(escalation.timestamp, ISO);
			const got = await client.when("message-received", (m) => m.isBot);
			assert.equal(got.needsEscalation, true);
			assert.ok((await stranger.ask("join-chat", { userId: "stranger" })).ok, "the stranger's socket has caught up");
			assert.deepEqual(stranger.all("escalation-needed"), []);
			assert.deepEqual(stranger.all("message-received"), []);
			client.close();
			stranger.close();
		});

		test("what is wrong gets an error event, a refusing acknowledgement, and nothing worse", async () => {
			const client = await connected(way);
			const sessionId = await client.join();
			const count = () => client.all("error").length;
			const wrong = [
				["join-chat"], ["join-chat", null], ["join-chat", []], ["join-chat", "x"], ["join-chat", 5], ["join-chat", true],
				["join-chat", {}], ["join-chat", { userId: 7 }], ["join-chat", { userId: "" }], ["join-chat", { userId: "u", sessionId: 5 }],
				["join-chat", { userId: "u", sessionId, seq: "x" }], ["join-chat", { userId: "thief", sessionId }],
				["join-chat", { userId: "visitor-1", sessionId: "A".repeat(32) }],
				["send-message"], ["send-message", null], ["send-message", []], ["send-message", {}],
				["send-message", { sessionId, userId: "visitor-1" }], ["send-message", { sessionId, message: "", userId: "visitor-1" }],
				["send-message", { sessionId, message: {}, userId: "visitor-1" }], ["send-message", { sessionId, message: "x", userId: "thief" }],
				["send-message", { sessionId: "A".repeat(32), message: "x", userId: "visitor-1" }],
				["send-message", { sessionId, message: Buffer.from([1, 2]), userId: "visitor-1" }],
			];
			for (const args of wrong) {
				const before = count();
				const ack = await client.ask(...args);
				assert.equal(ack.ok, false, `${JSON.stringify(args)} → ${JSON.stringify(ack)}`);
				assert.ok(typeof ack.error === "string" && ack.error, JSON.stringify(ack));
				await client.when("error", () => count() > before);
				const error = client.all("error").at(-1);
				assert.ok(typeof error.message === "string" && error.message, JSON.stringify(error));
				assert.ok(typeof error.code === "string" && error.code, JSON.stringify(error));
			}
			assert.equal(count(), wrong.length, "one error each");
			assert.equal(client.socket.connected, true);
			assert.equal(upstream.requests.length, 0);
			assert.equal((await client.ask("no-such-event", { a: 1 })).ok, false);
			assert.equal((await client.ask("send-message", { sessionId, message: "still there?", userId: "visitor-1" })).ok, true);
			client.close();
		});

		test("an error names the message that it is about", async () => {
			const client = await connected(way);
			const sessionId = await client.join();
			client.emit("send-message", { sessionId, message: "x", userId: "thief", clientMessageId: "mine-9" });
			const error = await client.when("error");
			assert.equal(error.clientMessageId, "mine-9");
			client.close();
		});

		test("a client that comes back gets what it missed, once", async () => {
			upstream.otherwise = (request) => reply(`Re: ${request.body.messages.at(-1).content}`);
			const client = await connected(way);
			const sessionId = await client.join();
			await client.ask("send-message", { sessionId, message: "one", userId: "visitor-1" });
			const first = await client.when("message-received", (m) => m.isBot);
			client.close();
			const second = await stack.say(sessionId, "two");
			const again = await connected(way);
			await again.ask("join-chat", { userId: "visitor-1", sessionId, seq: first.seq });
			const joined = await again.when("chat-joined");
			assert.deepEqual(joined.history.map((m) => [m.role, m.content]), [["user", "two"], ["assistant", "Re: two"]]);
			assert.deepEqual(joined.history.map((m) => m.seq), [first.seq + 1, second.seq]);
			for (const m of joined.history)
				assert.ok(m.id && ISO.test(m.timestamp));
			again.emit("send-message", { sessionId, message: "three", userId: "visitor-1" });
			await again.when("message-received", (m) => m.message === "Re: three");
			assert.equal(again.all("message-received").filter((m) => /two/.test(m.message)).length, 0, "not told a second time");
			again.close();
		});

		test("seq 0 tells everything, no seq tells no history", async () => {
			const sessionId = await stack.session();
			await stack.say(sessionId, "hello");
			const client = await connected(way);
			await client.ask("join-chat", { userId: "visitor-1", sessionId, seq: 0 });
			assert.equal((await client.when("chat-joined")).history.length, 2);
			const other = await connected(way);
			await other.ask("join-chat", { userId: "visitor-1", sessionId });
			assert.equal((await other.when("chat-joined")).history, undefined);
			client.close();
			other.close();
		});
	});

test("a message of REST reaches the sockets of the session, deltas included", async () => {
	upstream.next(reply("Hello from the model", { tokenDelay: 5 }));
	const client = await connected("websocket");
	const sessionId = await client.join();
	const answer = await stack.say(sessionId, "hi");
	const got = await client.when("message-received", (m) => m.isBot);
	assert.equal(got.id, answer.messageId);
	assert.equal(got.seq, answer.seq);
	assert.equal(got.message, answer.response);
	assert.equal(client.all("message-delta").map((d) => d.text).join(""), "Hello from the model");
	client.close();
});

test("events sent right after connecting, without waiting, are served in order", async () => {
	const sessionId = await stack.session();
	const client = await stack.client({ connect: false });
	client.emit("join-chat", { userId: "visitor-1", sessionId });
	client.emit("send-message", { sessionId, message: "at once", userId: "visitor-1" });
	const got = await client.when("message-received", (m) => m.isBot);
	assert.ok(got.message);
	assert.deepEqual(client.all("error"), []);
	const names = client.events.map((e) => e.name);
	assert.ok(names.indexOf("chat-joined") < names.indexOf("message-received"));
	client.close();
});

test("the server serves an unknown namespace no connection", async () => {
	const client = new Client(`${stack.url}/nowhere`, {});
	const error = await client.when("connect_error");
	assert.equal(error.message, "Invalid namespace");
	client.close();
});
