// Everything that happens in a session reaches all of its sockets, the same and in the same order.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor } from "./harness.mjs";

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

test("both sockets see the answer, the deltas and the typing", async () => {
	upstream.next(reply("one two three four", { tokenDelay: 10 }));
	const a = await stack.client({ transports: ["websocket"] });
	const b = await stack.client({ transports: ["polling"] });
	const sessionId = await a.join();
	assert.equal((await b.ask("join-chat", { userId: "visitor-1", sessionId })).ok, true);
	a.emit("send-message", { sessionId, message: "count", userId: "visitor-1", clientMessageId: "k1" });
	const [x, y] = await Promise.all([a, b].map((c) => c.when("message-received", (m) => m.isBot)));
	assert.deepEqual(x, y);
	assert.equal(x.message, "one two three four");
	await Promise.all([a, b].map((c) => c.when("typing", (on) => on === false)));
	assert.deepEqual(a.all("message-delta"), b.all("message-delta"));
	assert.deepEqual(b.all("typing"), [true, false]);
});

test("who says it by REST and over a socket at once hears its answer once", async () => {
	upstream.otherwise = reply("once", { delay: 300 });
	const a = await stack.client({ transports: ["websocket"] });
	const sessionId = await a.join();
	const said = (clientMessageId) => ({ sessionId, message: "hello", userId: "visitor-1", clientMessageId });
	const ids = [];
	for (let i = 0; i < 8; i++) {
		const rest = stack.message(sessionId, "hello", { clientMessageId: `both-${i}` });
		await a.ask("send-message", said(`both-${i}`));
		ids.push((await rest).json.messageId);
	}
	await a.ask("send-message", said("last"));
	await waitFor("the last answer has come", () => a.all("message-received").filter((m) => m.isBot).at(-1)?.seq === 18);
	assert.deepEqual(a.all("message-received").filter((m) => m.isBot).map((m) => m.id).slice(0, -1), ids);
});

test("typing begins again for what was written while an answer was", async () => {
	upstream.next(reply("to the first one", { tokenDelay: 100 }), reply("to the second", { delay: 200 }));
	const a = await stack.client();
	const sessionId = await a.join();
	await a.ask("send-message", { sessionId, message: "one", userId: "visitor-1" });
	await a.when("message-delta");
	await a.ask("send-message", { sessionId, message: "two", userId: "visitor-1" });
	await a.when("message-received", (m) => m.message === "to the second");
	await waitFor("typing ends", () => a.all("typing").at(-1) === false);
	assert.deepEqual(a.events.filter((e) => ["typing", "message-received"].includes(e.name)).map((e) => e.data.message ?? e.data),
		[true, "to the first one", false, true, "to the second", false]);
});

test("the other socket learns what the customer wrote on this one", async () => {
	const a = await stack.client();
	const b = await stack.client();
	const sessionId = await a.join();
	await b.ask("join-chat", { userId: "visitor-1", sessionId });
	a.emit("send-message", { sessionId, message: "written on a", userId: "visitor-1" });
	// Not message-received: the page on which it was written, maybe an old one, shows it already.
	const seen = await b.when("message-accepted");
	assert.equal(seen.message, "written on a");
	await Promise.all([a, b].map((c) => c.when("message-received", (m) => m.isBot)));
	assert.equal(a.all("message-received").length, 1);
	assert.equal(a.all("message-accepted").length, 0, "the writer's own socket does not");
	assert.ok(seen.seq < b.all("message-received")[0].seq);
});

test("who sends a message again is told its answer alone, and when it was accepted", async () => {
	const a = await stack.client();
	const sessionId = await a.join();
	const acks = [];
	for (const message of ["one", "two", "three"]) {
		upstream.next(reply(`Re: ${message}`));
		acks.push(await a.ask("send-message", { sessionId, message, userId: "visitor-1", clientMessageId: message }));
		await a.when("message-received", (m) => m.message === `Re: ${message}`);
	}
	const before = a.all("message-received").length;
	const again = await a.ask("send-message", { sessionId, message: "two", userId: "visitor-1", clientMessageId: "two" });
	assert.deepEqual(again, acks[1]);
	await waitFor("it is told", () => a.all("message-received").length > before);
	upstream.next(reply("Re: four"));
	a.emit("send-message", { sessionId, message: "four", userId: "visitor-1" });
	await a.when("message-received", (m) => m.message === "Re: four");
	assert.deepEqual(a.all("message-received").slice(before).map((m) => m.message), ["Re: two", "Re: four"]);
});

test("a socket that left hears nothing more, the other goes on", async () => {
	const a = await stack.client();
	const b = await stack.client();
	const sessionId = await a.join();
	await b.ask("join-chat", { userId: "visitor-1", sessionId });
	b.close();
	a.emit("send-message", { sessionId, message: "alone", userId: "visitor-1" });
	await a.when("message-received", (m) => m.isBot);
	assert.equal(b.all("message-received").length, 0);
});

test("messages of two sockets at once are all stored and all answered", async () => {
	upstream.otherwise = reply("ok", { delay: 30 });
	const clients = await Promise.all([0, 1, 2].map(() => stack.client({ transports: ["websocket"] })));
	const sessionId = await clients[0].join();
	for (const c of clients.slice(1))
		await c.ask("join-chat", { userId: "visitor-1", sessionId });
	const texts = clients.flatMap((_, i) => Array.from({ length: 4 }, (__, j) => `m-${i}-${j}`));
	const acks = await Promise.all(texts.map((text, k) => clients[k % 3].ask("send-message",
		{ sessionId, message: text, userId: "visitor-1", clientMessageId: text })));
	assert.ok(acks.every((a) => a.ok), JSON.stringify(acks));
	const history = await waitFor("an answer after the last message", async () => {
		const now = await stack.history(sessionId);
		return now.filter((m) => m.role === "user").length === 12 && now.at(-1).role === "assistant" && now;
	});
	const users = history.filter((m) => m.role === "user").map((m) => m.content);
	assert.deepEqual([...users].sort(), [...texts].sort());
	assert.deepEqual(history.map((m) => m.seq), [...history.map((m) => m.seq)].sort((p, q) => p - q));
	for (const c of clients)
		await c.when("message-received", (m) => m.seq === history.at(-1).seq);
	for (const c of clients)
		assert.deepEqual(c.all("message-received").filter((m) => m.isBot).map((m) => m.id),
			history.filter((m) => m.role === "assistant").map((m) => m.id), "every answer once, in order");
});

// It is in both rooms, whichever it spoke in last.
test("one socket in two sessions hears each answer of both once, however quick they are", async () => {
	upstream.otherwise = reply("quick");
	const one = await stack.client({ transports: ["websocket"] });
	const sessions = await Promise.all([stack.session(), stack.session()]);
	for (const sessionId of sessions)
		assert.equal((await one.ask("join-chat", { userId: "visitor-1", sessionId })).ok, true);
	const send = async (sessionId, clientMessageId) => {
		const ack = await one.ask("send-message", { sessionId, message: `said as ${clientMessageId}`, userId: "visitor-1", clientMessageId });
		assert.equal(ack.ok, true, ack.error);
	};
	for (let round = 0; round < 20; round++)
		await Promise.all(sessions.flatMap((id) => [send(id, `k${round}`), stack.say(id, `by another ${round}`)]));
	for (const id of sessions)
		await stack.say(id, "last");		// turns are one after the other: now all is answered
	const histories = await Promise.all(sessions.map((id) => stack.history(id)));
	const answers = histories.flat().filter((m) => m.role === "assistant").map((m) => m.id);
	const heard = () => one.all("message-received").map((m) => m.id);
	await waitFor("all is heard", () => heard().length >= answers.length);
	assert.deepEqual(heard().sort(), answers.sort());
	for (const id of sessions) {
		const before = heard().length;
		await send(id, "k0");		// said again, answered again
		await waitFor("the answer is told again", () => heard().length === before + 1);
	}
});
