// When a conversation goes to a person, with a model: keywords, low confidence, no answer, the customer's own wish.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said, serverError } from "./upstream.mjs";
import { startStack } from "./harness.mjs";

let upstream;
before(async () => { upstream = await startUpstream(); });
after(() => upstream.close());
beforeEach(() => upstream.reset());

const fresh = async (stack, text, more) => stack.say(await stack.session(), text, more);

describe("with the default settings", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream }); });
	after(() => stack?.stop());

	for (const text of ["This is URGENT", "an emergency!", "I have a Complaint.", "my supervisor saw it", "Manager!", "the managers", "two complaints", "(urgently)"])
		test(`keyword: ${text}`, async () => {
			const body = await fresh(stack, text);
			assert.equal(body.needsEscalation, true);
			assert.equal(body.escalation.reason, "keyword");
			assert.ok(typeof body.escalation.id === "string" && body.escalation.id);
			assert.ok(body.response.length > 0, "the customer is told what happens next");
		});

	for (const text of ["the management of my account", "micromanagers", "resurgent", "how do I manage my orders?"])
		test(`no keyword: ${text}`, async () => {
			const body = await fresh(stack, text);
			assert.equal(body.needsEscalation, false, JSON.stringify(body.escalation));
			assert.equal(body.escalation, null);
		});

	test("confidence below 0.5 escalates, at 0.5 it does not", async () => {
		upstream.next(said("Perhaps.", { confidence: 0.49 }), said("Probably.", { confidence: 0.5 }));
		const low = await fresh(stack, "Is the moon made of cheese?");
		assert.equal(low.needsEscalation, true);
		assert.equal(low.escalation.reason, "low_confidence");
		assert.equal(low.confidence, 0.49);
		assert.ok(low.response.length > 0);
		const enough = await fresh(stack, "Is it round?");
		assert.equal(enough.needsEscalation, false);
		assert.equal(enough.confidence, 0.5);
	});

	test("no answer escalates, with status 200 and confidence 0", async () => {
		upstream.otherwise = serverError(500);
		const id = await stack.session();
		const body = await stack.say(id, "Where is my parcel?");
		assert.equal(body.needsEscalation, true);
		assert.equal(body.confidence, 0);
		assert.equal(body.escalation.reason, "ai_unavailable");
		assert.ok(body.response.length > 0);
		assert.deepEqual((await stack.history(id)).map((m) => m.role), ["user", "assistant"]);
	});

	for (const text of ["chat wth somebody", "can i speak to a real human pls", "this bot is useless, get me someone", "I want to talk to an agent",
		"let me talk with a person", "is there a real person there?"])
		test(`the customer asks for a person: ${text}`, async () => {
			const body = await fresh(stack, text);
			assert.equal(body.needsEscalation, true);
			assert.equal(body.escalation.reason, "asked_for_person");
			assert.ok(body.response.length > 0);
		});

	for (const text of ["how can I cancel my order?", "where is my refund", "do you ship to Norway?", "I want to talk about my bill",
		"the person who delivered it was kind", "how many people can use one account?", "hello"])
		test(`nobody asked for a person: ${text}`, async () => {
			const body = await fresh(stack, text);
			assert.equal(body.needsEscalation, false, JSON.stringify(body.escalation));
		});

	test("the model says in the same request that the customer wants a person", async () => {
		upstream.otherwise = (request) => {
			const schema = request.body.response_format?.json_schema?.schema;
			const flags = Object.entries(schema?.properties ?? {}).filter(([, s]) => s.type === "boolean").map(([k]) => k);
			return said("I will get you a colleague.", Object.fromEntries(flags.map((k) => [k, true])));
		};
		const body = await fresh(stack, "je voudrais causer avec quelqu'un de chez vous");
		assert.equal(upstream.chats.length, 1);
		assert.equal(body.needsEscalation, true);
		assert.equal(body.escalation.reason, "asked_for_person");
	});

	test("a second trigger joins the open escalation", async () => {
		const id = await stack.session();
		const first = await stack.say(id, "This is urgent");
		upstream.next(said("Hm.", { confidence: 0.1 }));
		const second = await stack.say(id, "and what about this?");
		const third = await stack.say(id, "my complaint stands");
		assert.equal(second.needsEscalation, true);
		assert.equal(second.escalation.id, first.escalation.id);
		assert.equal(third.escalation.id, first.escalation.id);
	});

	test("two conversations have two escalations", async () => {
		const [a, b] = await Promise.all([fresh(stack, "urgent a"), fresh(stack, "urgent b")]);
		assert.notEqual(a.escalation.id, b.escalation.id);
	});

	test("the message is stored and shown in the history", async () => {
		const id = await stack.session();
		const body = await stack.say(id, "I have a complaint about the parcel");
		const history = await stack.history(id);
		assert.equal(history[0].content, "I have a complaint about the parcel");
		assert.equal(history.at(-1).content, body.response);
	});
});

describe("with keywords of its own", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream, env: { ESCALATION_KEYWORDS: " Anwalt , money back,срочно,苦情, ÄRGER" } }); });
	after(() => stack?.stop());

	for (const text of ["Ich rufe meinen ANWALT!", "I want my money  back", "Money back, please", "это СРОЧНО", "苦情 です", "so ein ärger."])
		test(`keyword: ${text}`, async () => {
			const body = await fresh(stack, text);
			assert.equal(body.escalation?.reason, "keyword");
		});
	for (const text of ["Rechtsanwaltskanzlei", "urgent", "back to the money", "verärgert", "несрочно"])
		test(`no keyword: ${text}`, async () => {
			assert.equal((await fresh(stack, text)).needsEscalation, false);
		});
});

describe("with no keywords and another threshold", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream, env: { ESCALATION_KEYWORDS: "none", ESCALATION_CONFIDENCE: "0.8" } }); });
	after(() => stack?.stop());

	test("urgent is a word like others", async () => {
		const body = await fresh(stack, "is it urgent?");
		assert.equal(body.needsEscalation, false, JSON.stringify(body));
		assert.equal((await fresh(stack, "none")).needsEscalation, false);
	});

	test("0.79 is too little", async () => {
		upstream.next(said("Almost.", { confidence: 0.79 }));
		assert.equal((await fresh(stack, "hm?")).escalation?.reason, "low_confidence");
	});
});

describe("from a server without structured output", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream }); });
	after(() => stack?.stop());

	test("rules judge the confidence of a plain answer", async () => {
		upstream.otherwise = reply("Your parcel arrives on Monday between eight and ten.", { structured: false });
		const sure = await fresh(stack, "When does my parcel arrive?");
		assert.equal(sure.needsEscalation, false);
		assert.ok(sure.confidence >= 0.5 && sure.confidence <= 1);
		upstream.otherwise = reply("I'm sorry, I don't know. I am not sure about that.", { structured: false });
		const unsure = await fresh(stack, "When does my parcel arrive?");
		assert.ok(unsure.confidence < 0.5, String(unsure.confidence));
		assert.equal(unsure.escalation?.reason, "low_confidence");
		assert.equal(upstream.chats.length, 2);
	});
});
