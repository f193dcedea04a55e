// Without any model: quotes with their source, "I don't know" with the offer of a person, escalation all the same.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync, chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startStack } from "./harness.mjs";

let stack, folder;

before(async () => {
	folder = mkdtempSync(path.join(tmpdir(), "helpline-knowledge-"));
	chmodSync(folder, 0o755);
	writeFileSync(path.join(folder, "shipping.md"), "# Shipping\n\nParcels to Norway take eleven working days.\n");
	writeFileSync(path.join(folder, "returns.md"), "# Returns\n\nYou may send a trombone back within 42 days of its delivery.\n");
	stack = await startStack({ env: { KNOWLEDGE_PATH: folder } });
});
after(async () => {
	await stack?.stop();
	rmSync(folder, { recursive: true, force: true });
});

const ask = async (text) => stack.say(await stack.session(), text);

test("health tells that no model is configured", async () => {
	assert.equal((await stack.get("/health")).json.services.openai, "not configured");
	assert.equal((await stack.get("/health")).status, 200);
});

test("a question is answered by the passage and its source", async () => {
	const body = await ask("How long do parcels to Norway take?");
	assert.equal(body.provider, "offline");
	assert.match(body.response, /eleven working days/);
	assert.match(body.response, /shipping/i);
	assert.match(body.sources[0].source, /shipping\.md/);
	assert.equal(body.needsEscalation, false);
	assert.ok(body.confidence >= 0.5 && body.confidence <= 1);
});

test("what is not written it does not know, and offers a person", async () => {
	const body = await ask("What is the capital of Mongolia?");
	assert.equal(body.provider, "offline");
	assert.match(body.response, /don['’]t know/i);
	assert.match(body.response, /person|someone|colleague|human|team/i);
	assert.deepEqual(body.sources, []);
	assert.ok(body.confidence < 0.5);
});

test("an event stream ends with the answer", async () => {
	const id = await stack.session();
	const stream = await stack.stream({ sessionId: id, message: "Can I send a trombone back?", userId: "visitor-1" });
	const events = [];
	for await (const event of stream.events)
		events.push(event);
	assert.equal(events.at(-1).event, "message");
	assert.match(events.at(-1).json.response, /42 days/);
	const deltas = events.filter((e) => e.event === "delta").map((e) => e.json.text).join("");
	assert.ok(["", events.at(-1).json.response].includes(deltas), "no model writes, so there may be no deltas");
});

test("a keyword escalates", async () => {
	const body = await ask("My parcel to Norway is URGENT");
	assert.equal(body.needsEscalation, true);
	assert.equal(body.escalation.reason, "keyword");
});

// Sentences of our own, none from a data set.
const asking = ["I would like to speak to a human", "can i tlak to a real person plz", "connect me with an agent", "gimme a human", "chat wth somebody",
	"is there anyone real I could talk to", "put me through to customer care please", "I don't want a robot, get me a person", "lemme talk to someone",
	"can someone call me back", "i need to talk with an oeprator", "could a member of your staff help me instead", "NOT A BOT. A HUMAN. NOW.",
	"this bot is useless, get me someone", "speak with representative"];
const others = ["how do I reset my password", "where's my parcel", "can I change the delivery address", "I want a refund for the trombone", "thank you, that helps",
	"what do you charge for shipping", "my account has been hacked, what now", "is there a student discount", "the person at the door took my parcel",
	"do you sell to companies", "I'd like to add another user to my account", "cancel order 4711", "what payment methods do you take",
	"my agent number is wrong on the invoice", "how do I talk about a review I wrote"];

test("asking for a person is heard, without a model", async () => {
	const missed = [];
	for (const text of asking)
		if ((await ask(text)).escalation?.reason !== "asked_for_person")
			missed.push(text);
	assert.ok(missed.length <= 1, `missed: ${missed.join(" | ")}`);
	const wrong = [];
	for (const text of others)
		if ((await ask(text)).escalation?.reason === "asked_for_person")
			wrong.push(text);
	assert.ok(wrong.length <= 1, `false alarms: ${wrong.join(" | ")}`);
});

test("over a socket too", async () => {
	const client = await stack.client();
	const sessionId = await client.join();
	client.emit("send-message", { sessionId, message: "How long do parcels to Norway take?", userId: "visitor-1" });
	const got = await client.when("message-received", (m) => m.isBot);
	assert.equal(got.provider, "offline");
	assert.match(got.message, /eleven working days/);
});

test("the sample knowledge answers a question that any shop is asked", async () => {
	const sample = await startStack();
	try {
		const body = await sample.say(await sample.session(), "How do I return something?");
		assert.equal(body.provider, "offline");
		assert.ok(body.sources.length > 0, body.response);
	} finally {
		await sample.stop();
	}
});
