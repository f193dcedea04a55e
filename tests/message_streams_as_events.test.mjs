// POST /message with Accept: text/event-stream, and what happens when such a stream breaks.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said, serverError } from "./upstream.mjs";
import { startStack, assertProblem, unique, waitFor, within } from "./harness.mjs";

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

const message = (sessionId, text, more = {}) => ({ sessionId, message: text, userId: "visitor-1", ...more });

async function collect(stream) {
	const out = [];
	for await (const event of stream.events)
		out.push(event);
	return out;
}

const textOf = (events) => events.filter((e) => e.event === "delta").map((e) => e.json.text).join("");

test("deltas come while the model writes, then the whole body, then the end", async () => {
	const answer = "One word after the other, ü and 🙂 included.";
	upstream.next(said(answer, { confidence: 0.8 }, { tokenDelay: 60 }));
	const id = await stack.session();
	const stream = await stack.stream(message(id, "Tell me"));
	assert.equal(stream.response.status, 200);
	assert.match(stream.response.headers["content-type"], /^text\/event-stream/);
	assert.match(stream.response.headers["cache-control"] ?? "", /no-(?:cache|store)/);
	const events = await collect(stream);
	const deltas = events.filter((e) => e.event === "delta");
	assert.ok(deltas.length > 2);
	assert.ok(deltas.at(-1).at - deltas[0].at > 100, "they were not held back until the end");
	assert.equal(textOf(events), answer);
	assert.ok(deltas.every((e) => e.json.attempt === deltas[0].json.attempt && Number.isInteger(e.json.attempt)));
	assert.deepEqual(deltas.map((e) => e.json.index), deltas.map((_, i) => deltas[0].json.index + i));
	assert.ok(events.every((e) => typeof e.id === "string" && e.id), "each has an id");
	assert.equal(new Set(events.map((e) => e.id)).size, events.length, "each its own");
	assert.equal(events.filter((e) => e.event === "message").length, 1);
	const last = events.at(-1);
	assert.equal(last.event, "message");
	assert.equal(last.json.success, true);
	assert.equal(last.json.response, answer);
	assert.equal(last.json.confidence, 0.8);
	assert.equal(last.json.needsEscalation, false);
	assert.equal(last.json.escalation, null);
	assert.ok(last.json.messageId && Number.isInteger(last.json.seq) && Array.isArray(last.json.sources));
	assert.equal((await stack.history(id)).at(-1).id, last.json.messageId);
});

test("deltas add up to the answer, with what is added to it and with what replaces it", async () => {
	upstream.next(said("Look in your account.", { confidence: 0.9 }, { tokenDelay: 5 }));
	let events = await collect(await stack.stream(message(await stack.session(), "I have a complaint")));
	assert.ok(events.at(-1).json.response.length > "Look in your account.".length, "what happens next is said");
	assert.equal(textOf(events), events.at(-1).json.response);
	upstream.next(reply("One two three four five six seven", { cut: 3, tokenDelay: 5 }));
	events = await collect(await stack.stream(message(await stack.session(), "and now it breaks")));
	const deltas = events.filter((e) => e.event === "delta");
	const last = Math.max(...deltas.map((e) => e.json.attempt));
	assert.equal(events.at(-1).json.escalation.reason, "ai_unavailable");
	assert.ok(deltas.some((e) => e.json.attempt < last), "something had been shown");
	assert.equal(deltas.filter((e) => e.json.attempt === last).map((e) => e.json.text).join(""), events.at(-1).json.response);
});

test("structured output never shows its JSON", async () => {
	const answer = 'He said "yes" \\ then {left}.\nNext line: ☃ \u{1F642}';
	upstream.next(reply(answer));
	const events = await collect(await stack.stream(message(await stack.session(), "Go")));
	assert.equal(textOf(events), answer);
	assert.equal(events.at(-1).json.response, answer);
});

test("what is refused is refused before the stream, as a problem", async () => {
	const id = await stack.session();
	const post = (body, headers = {}) => stack.post("/api/v1/chat/message", body, { accept: "text/event-stream", ...headers });
	assertProblem(await post({}), 400, "Session ID, message, and user ID are required");
	assertProblem(await post(message("A".repeat(32), "x")), 404);
	assertProblem(await post(message(id, "x", { userId: "thief" })), 403);
	assertProblem(await post("{"), 400);
});

test("an answer that cannot be produced still ends with its message event", async () => {
	upstream.otherwise = serverError(500);
	const events = await collect(await stack.stream(message(await stack.session(), "Hello?")));
	const last = events.at(-1);
	assert.equal(last.event, "message");
	assert.equal(last.json.needsEscalation, true);
	assert.equal(last.json.escalation.reason, "ai_unavailable");
	assert.equal(last.json.confidence, 0);
	assert.ok(last.json.response.length > 0);
});

async function broken(id, clientMessageId, afterDeltas) {
	const stream = await stack.stream(message(id, "Tell me all", { clientMessageId }));
	const seen = [];
	for await (const event of stream.events) {
		seen.push(event);
		if (seen.length === afterDeltas)
			break;
	}
	stream.abort();
	return seen;
}

test("a broken stream is resumed: the text so far in one delta, then the rest, one answer", async () => {
	const answer = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");
	upstream.next(reply(answer, { tokenDelay: 25 }));
	const id = await stack.session();
	const clientMessageId = unique("c");
	const seen = await broken(id, clientMessageId, 3);
	const again = await stack.stream(message(id, "Tell me all", { clientMessageId }), { "last-event-id": seen.at(-1).id });
	const events = await collect(again);
	assert.equal(again.response.status, 200);
	const first = events[0];
	assert.equal(first.event, "delta");
	assert.ok(first.json.text.startsWith(textOf(seen)), "the text so far holds what was seen");
	assert.ok(answer.startsWith(first.json.text));
	assert.equal(textOf(events), answer);
	assert.ok(events.length > 3, "the rest came as it was written");
	const last = events.at(-1);
	assert.equal(last.event, "message");
	assert.equal(last.json.response, answer);
	assert.equal(upstream.chats.length, 1, "the model was asked once");
	assert.deepEqual((await stack.history(id)).map((m) => m.role), ["user", "assistant"]);
});

test("who begins to listen in the midst is told the text so far, though nobody was there when it was written", async () => {
	const answer = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");
	upstream.next(reply(answer, { tokenDelay: 25 }));
	const id = await stack.session();
	const clientMessageId = unique("c");
	const silent = stack.post("/api/v1/chat/message", message(id, "Tell me all", { clientMessageId }));
	await waitFor("the model has written some words", () => upstream.chats[0]?.written >= 20);
	const events = await collect(await stack.stream(message(id, "Tell me all", { clientMessageId })));
	const deltas = events.filter((e) => e.event === "delta");
	assert.ok(deltas.length > 1, "the rest came as it was written");
	assert.deepEqual([...new Set(deltas.map((e) => e.json.attempt))], [1], "nothing was to be taken back");
	assert.equal(deltas.map((e) => e.json.text).join(""), answer);
	assert.equal((await silent).json.response, answer);
	assert.equal(upstream.chats.length, 1, "the model was asked once");
});

test("a stream that is resumed after its answer gets that answer", async () => {
	upstream.next(reply("Short and done."));
	const id = await stack.session();
	const clientMessageId = unique("c");
	const first = await collect(await stack.stream(message(id, "Tell me all", { clientMessageId })));
	const again = await collect(await stack.stream(message(id, "Tell me all", { clientMessageId }), { "last-event-id": first[0].id }));
	assert.equal(again.at(-1).event, "message");
	assert.deepEqual(again.at(-1).json, first.at(-1).json);
	assert.ok(["", "Short and done."].includes(textOf(again)));
	assert.equal(upstream.chats.length, 1);
});

test("an unknown Last-Event-ID does no harm", async () => {
	const id = await stack.session();
	for (const last of ["0", "nonsense", "9".repeat(300), "-1", "a.b.c", "%00"]) {
		upstream.next(reply("Fine."));
		const events = await collect(await stack.stream(message(id, "x", { clientMessageId: unique("c") }), { "last-event-id": last }));
		assert.equal(events.at(-1).json.response, "Fine.", last);
	}
});

test("a turn whose client goes away is finished and stored", async () => {
	upstream.next(reply("Finished without a listener.", { tokenDelay: 40 }));
	const id = await stack.session();
	await broken(id, unique("c"), 1);
	const client = await stack.client({ transports: ["websocket"] });
	await client.ask("join-chat", { userId: "visitor-1", sessionId: id, seq: 0 });
	const joined = await client.when("chat-joined");
	if (!joined.history.some((m) => m.role === "assistant"))
		await client.when("message-received", (m) => m.message === "Finished without a listener.");
	assert.deepEqual((await stack.history(id)).map((m) => m.content), ["Tell me all", "Finished without a listener."]);
});

test("two streams of one message show the same answer", async () => {
	upstream.next(reply("Shared by two listeners.", { tokenDelay: 20 }));
	const id = await stack.session();
	const body = message(id, "Both?", { clientMessageId: unique("c") });
	const [a, b] = await Promise.all([stack.stream(body).then(collect), stack.stream(body).then(collect)]);
	assert.equal(a.at(-1).json.messageId, b.at(-1).json.messageId);
	assert.equal(textOf(a) || "Shared by two listeners.", "Shared by two listeners.");
	assert.equal(textOf(b) || "Shared by two listeners.", "Shared by two listeners.");
	assert.equal(upstream.chats.length, 1);
});

test("a silent model keeps the stream open", async () => {
	upstream.next(reply("After a while.", { firstDelay: 3000 }));
	const stream = await stack.stream(message(await stack.session(), "Think"));
	const events = await within(collect(stream), 10_000, "the end of the stream");
	assert.equal(events.at(-1).json.response, "After a while.");
});

test("q-values and case of Accept are understood", async () => {
	upstream.otherwise = reply("Yes.");
	const id = await stack.session();
	for (const accept of ["TEXT/Event-Stream", "text/event-stream;q=0.9, application/json;q=0.1", "application/problem+json, text/event-stream"]) {
		const stream = await stack.stream(message(id, "x"), { accept });
		assert.match(stream.response.headers["content-type"], /^text\/event-stream/, accept);
		await collect(stream);
	}
	for (const accept of ["*/*", "application/json", ""]) {
		const res = await stack.message(id, "x", {}, { accept });
		assert.match(res.headers["content-type"], /^application\/json/, accept);
	}
});
