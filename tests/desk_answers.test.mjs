// What a turn of a desk conversation makes of it: whose voice it has, what is found of the company, what it is called, how the
// customer feels, and when a person is called because of that.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said, refusing, unsupportedValue } from "./upstream.mjs";
import { startStack, Client, unique, waitFor } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";

let upstream, stack, ada;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: DESK_ENV });
	ada = await Person.join(stack);
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const lastBody = () => upstream.requests.at(-1).body;
const systemOf = (body) => body.messages.filter((m) => m.role === "system").map((m) => m.content).join("\n");
const schemaOf = (body) => body.response_format.json_schema.schema;
const words = (title) => title.trim().split(/\s+/u).length;

async function escalationsOf(person, conversationId) {
	return (await person.ok("GET", "/api/escalations")).filter((e) => e.conversationId === conversationId);
}

describe("the agent", () => {
	test("speaks with its own persona, length and temperature, and nothing of the prompt comes out", async () => {
		const secret = unique("policy");
		const agent = await ada.agent({ name: "Robin", companyName: "Fern & Co", personality: "dry", companyInfo: "We sell ferns only.",
			prompts: [`Never mention ${secret}.`], systemPrompt: `Inner rule ${secret}.`, settings: { maxTokens: 123, temperature: 0.3 } });
		const { _id } = await ada.conversation(agent._id);
		upstream.next(said("We sell ferns.", { confidence: 0.9, sentiment: "positive", intents: ["purchase"] }));
		const answer = await ada.say(_id, "What do you sell?");
		const body = lastBody();
		for (const part of ["Robin", "Fern & Co", "dry", "We sell ferns only.", `Never mention ${secret}.`, `Inner rule ${secret}.`])
			assert.ok(systemOf(body).includes(part), part);
		assert.equal(body.max_completion_tokens, 123);
		assert.equal(body.temperature, 0.3);
		assert.equal(body.messages.at(-1).content, "What do you sell?");
		const conversation = await ada.read(_id);
		const shown = JSON.stringify([answer, conversation, await ada.list()]);
		assert.ok(!shown.includes(secret), "the prompt stays inside");
		assert.equal(conversation.metadata.sentiment, "positive");
		assert.deepEqual(conversation.metadata.intents, ["purchase"]);
	});

	test("whose temperature the model's server refuses is asked without, and only once", async () => {
		const agent = await ada.agent({ settings: { temperature: 0.3 } });
		const { _id } = await ada.conversation(agent._id);
		const own = await startUpstream();
		const other = await startStack({ upstream: own, env: DESK_ENV });
		try {
			const bob = await Person.join(other, "Bob");
			const his = await bob.agent({ settings: { temperature: 0.3 } });
			const call = await bob.conversation(his._id);
			own.otherwise = refusing({ temperature: () => true }, said("Fine.", { confidence: 0.9 }), unsupportedValue);
			assert.equal((await bob.say(call._id, "Hello there")).content, "Fine.");
			assert.equal((await bob.say(call._id, "And again")).content, "Fine.");
			assert.deepEqual(own.requests.map((r) => r.body.temperature), [0.3, undefined, undefined]);
			assert.ok(own.requests.every((r) => r.body.response_format), "nothing else is left out");
		} finally {
			await other.stop();
			await own.close();
		}
		assert.ok(_id);
	});

	test("that is deleted is replaced by the built-in text; the conversation goes on", async () => {
		const agent = await ada.agent({ companyName: "Gone Ltd" });
		const { _id } = await ada.conversation(agent._id);
		await ada.ok("DELETE", `/api/agents/${agent._id}`);
		upstream.next(reply("Still here."));
		assert.equal((await ada.say(_id, "Which ferns do you have?")).content, "Still here.");
		assert.doesNotMatch(systemOf(lastBody()), /Gone Ltd/);
	});

	test("a chat session is asked for no title and has no persona", async () => {
		const id = await stack.session();
		upstream.next(reply("Hello."));
		await stack.say(id, "Hello there, how are you?");
		assert.equal(schemaOf(lastBody()).properties.title, undefined);
		assert.equal(lastBody().temperature, undefined);
	});
});

describe("the company in a simulator's conversation", () => {
	test("is found by an alias in the customer's words, stays, and no other account's is", async () => {
		const eve = await Person.join(stack, "Eve");
		const [oak, pine] = [unique("oakline"), unique("pinewood")];
		const agent = await eve.agent({ name: "Ola", companyName: `${oak} Furniture`, companyInfo: "Oak tables.", aliases: [oak] });
		await eve.agent({ name: "Pia", companyName: `${pine} Homes`, companyInfo: "Pine beds.", aliases: [pine] });
		await ada.agent({ name: "Mallory", companyName: "Mallory Inc", companyInfo: "Not hers.", aliases: ["mallory"] });
		const { _id } = await eve.conversation();
		upstream.otherwise = said("Good.", { confidence: 0.9 });
		await eve.say(_id, "Good morning, is this Mallory?");
		assert.match(systemOf(lastBody()), /Lantern & Leaf/, "the demonstration agent until a company is named");
		assert.doesNotMatch(systemOf(lastBody()), /Not hers/);
		assert.equal((await eve.read(_id)).agentId ?? null, null);
		await eve.say(_id, `I have a question for ${oak.toUpperCase()}, please.`);
		assert.match(systemOf(lastBody()), /Oak tables\./);
		const read = await eve.read(_id);
		assert.equal(read.agentId?._id ?? read.agentId, agent._id);
		await eve.say(_id, `And what about ${pine}?`);
		assert.match(systemOf(lastBody()), /Oak tables\./, "once found it stays");
		const stats = await eve.statistics();
		assert.deepEqual(stats.companiesInteractedWith, [`${oak} Furniture`]);
		const { byAgent } = await eve.ok("GET", "/api/analytics");
		const row = (is) => byAgent.filter(is).map((a) => [a.conversations, a.customerMessages, a.answers]);
		assert.deepEqual([row((a) => a.agentId === agent._id), row((a) => a.kind === "none")], [[[1, 2, 2]], [[0, 1, 1]]],
			"what an answer is to was asked of whom it is from");
		await eve.ok("PUT", `/api/agents/${agent._id}`, { companyName: `${oak} Tables` });
		assert.deepEqual((await eve.statistics()).companiesInteractedWith, [`${oak} Tables`]);
	});

	test("an agent that is renamed while a conversation begins with it is called by its new name", async () => {
		const eve = await Person.join(stack, "Eve");
		const name = unique("elmwood");
		const agent = await eve.agent({ companyName: `${name} 0`, aliases: [name] });
		const named = async (n) => assert.deepEqual((await eve.statistics()).companiesInteractedWith, [`${name} ${n}`]);
		const { _id } = await eve.conversation();
		upstream.next(said("Good.", { confidence: 0.9 }, { firstDelay: 700 }));
		const turn = eve.say(_id, `Hello ${name}`);		// it has read the agent
		await waitFor("the turn is under way", () => upstream.requests.length > 0 && JSON.stringify(lastBody()).includes(name));
		await eve.ok("PUT", `/api/agents/${agent._id}`, { companyName: `${name} 1` });
		await turn;
		await named(1);
		upstream.otherwise = said("Good.", { confidence: 0.9 });
		for (let n = 2; n < 12; n++) {
			await Promise.all([eve.conversation(agent._id),
				eve.ok("PUT", `/api/agents/${agent._id}`, { companyName: `${name} ${n}` }),
				eve.conversation(agent._id)]);
			await named(n);
		}
	});

	test("a new alias is known at once", async () => {
		const eve = await Person.join(stack, "Eve");
		const name = unique("birch");
		upstream.otherwise = said("Good.", { confidence: 0.9 });
		const agent = await eve.agent({ companyName: "Some Trees", companyInfo: "Birches." });
		const { _id } = await eve.conversation();
		await eve.say(_id, `Hello ${name}`);
		assert.doesNotMatch(systemOf(lastBody()), /Birches/);
		await eve.ok("PUT", `/api/agents/${agent._id}`, { aliases: [name] });
		await eve.say(_id, `Hello ${name} again`);
		assert.match(systemOf(lastBody()), /Birches\./);
	});

	test("sockets are told who speaks; a company's own personality stays inside", async () => {
		const eve = await Person.join(stack, "Eve");
		const elm = unique("elm");
		await eve.agent({ name: "Ella", companyName: "Elm & Sons", personality: "secretly grumpy", aliases: [elm] });
		const client = new Client(stack.url);
		client.emit("start_conversation", { userId: eve.user._id, isCallSimulator: true });
		const { conversationId, demoAgent } = await client.when("conversation_started");
		upstream.otherwise = said("Good.", { confidence: 0.9 });
		client.emit("user_message", { conversationId, message: "Hello, who is there?" });
		assert.deepEqual((await client.when("ai_response")).demoAgent, demoAgent);
		client.emit("user_message", { conversationId, message: `I mean ${elm}!` });
		const second = await client.when("ai_response", (m) => m.demoAgent.company === "Elm & Sons");
		assert.equal(second.demoAgent.name, "Ella");
		assert.doesNotMatch(JSON.stringify(client.events), /grumpy/);
		client.close();
	});
});

describe("the title", () => {
	test("is the model's, cleaned, asked for in the same request", async () => {
		const { _id } = await ada.conversation();
		upstream.next(said("Sure.", { confidence: 0.9, title: "«Delivery» of the green lamp" }));
		const answer = await ada.say(_id, "Where is it?");
		assert.equal(upstream.requests.length, 1);
		assert.deepEqual(schemaOf(lastBody()).properties.title, { type: "string" });
		assert.equal(answer.title, "Delivery of the green lamp");
		assert.equal((await ada.read(_id)).title, "Delivery of the green lamp");
	});

	test("is by rules where the model says none, and a later message may give a better one", async () => {
		const { _id } = await ada.conversation();
		upstream.otherwise = { ...said("Sure.", { confidence: 0.9 }), structured: false };
		await ada.say(_id, "Hello");
		assert.ok(words((await ada.read(_id)).title) >= 3);
		await ada.say(_id, "Where is my green lamp?");
		assert.equal((await ada.read(_id)).title, "Where is my green lamp");
		await ada.say(_id, "And what does the other one cost?");
		assert.equal((await ada.read(_id)).title, "Where is my green lamp", "the first that says something");
	});

	test("of a person is not asked for, nor replaced", async () => {
		const { _id } = await ada.conversation();
		await ada.ok("PUT", `/api/conversations/${_id}`, { title: "The case of Mrs Smith" });
		upstream.next(said("Sure.", { confidence: 0.9, title: "Something else it is" }));
		await ada.say(_id, "Where is it?");
		assert.equal(schemaOf(lastBody()).properties.title, undefined);
		assert.equal((await ada.read(_id)).title, "The case of Mrs Smith");
	});
});

test("while a person has it, what says so is no message of the conversation, and looks like none", async () => {
	const { _id } = await ada.conversation();
	await ada.say(_id, "Let me talk to a person");
	const [open] = await escalationsOf(ada, _id);
	await ada.ok("POST", `/api/escalations/${open._id}/take`);
	const body = { content: "Are you there?", clientMessageId: unique() };
	const [first, again] = [await ada.say(_id, body.content, body), await ada.say(_id, body.content, body)];
	assert.match(first.content, /has taken over/);
	assert.equal(first.seq, undefined);
	assert.equal(again._id, first._id, "the same for the same message");
	assert.ok(!(await ada.read(_id)).messages.some((m) => m._id === first._id), "and nobody else's id");
});

describe("the mood", () => {
	test("urgent calls a person", async () => {
		const { _id } = await ada.conversation();
		upstream.next(said("Of course.", { confidence: 0.95, sentiment: "urgent" }));
		const answer = await ada.say(_id, "The lamp smokes");
		assert.match(answer.content, /^Of course\.\n\nI have asked a person/);
		const [open] = await escalationsOf(ada, _id);
		assert.equal(open.reason, "sentiment");
		assert.equal(open.sentiment, "urgent");
	});

	test("negative calls one the second time in a row, not the first, and not with a better one between", async () => {
		const { _id } = await ada.conversation();
		for (const [sentiment, expected] of [["negative", 0], ["neutral", 0], ["negative", 0], ["negative", 1]]) {
			upstream.next(said("I see.", { confidence: 0.95, sentiment }));
			await ada.say(_id, `That is how it is: ${unique()}`);
			assert.equal((await escalationsOf(ada, _id)).length, expected, sentiment);
		}
		assert.equal((await escalationsOf(ada, _id))[0].reason, "sentiment");
	});

	// What the conversation has come to is another thing than the mood of the answer before.
	for (const what of ["reanalyze-sentiment", "end"])
		test(`negative twice in a row is counted over the messages, whatever ${what} makes of the conversation`, async () => {
			const settle = { "reanalyze-sentiment": () => ada.ok("POST", "/api/conversations/reanalyze-sentiment"),
				end: (id) => ada.ok("PUT", `/api/conversations/${id}/end`) }[what];
			const tell = async (id, sentiment) => {
				upstream.next(said("I see.", { confidence: 0.95, sentiment }));
				await ada.say(id, `The box has a number: ${unique()}`);
			};
			const first = await ada.conversation(), second = await ada.conversation();
			await tell(first._id, "negative");
			await settle(first._id);
			await tell(first._id, "negative");
			assert.equal((await escalationsOf(ada, first._id)).length, 1);
			await tell(second._id, "negative");
			await tell(second._id, "neutral");
			await settle(second._id);
			await tell(second._id, "negative");
			assert.deepEqual(await escalationsOf(ada, second._id), []);
		});

	test("two messages that one answer covers are two, and an urgent one is urgent wherever it stands", async () => {
		for (const [one, other, sentiment, reasons] of [["This is terrible, I am disappointed", "It is still broken", "negative", ["sentiment"]],
			["I need this right away", "Hello?", "neutral", ["sentiment"]], ["It is blue", "It is still broken", "negative", []]]) {
			const { _id } = await ada.conversation();
			let open;
			const gate = new Promise((resolve) => { open = resolve; });
			upstream.otherwise = async () => (await gate, said("I see.", { confidence: 0.95, sentiment }));
			const answers = [ada.say(_id, one)];
			await upstream.arrived(1);
			answers.push(ada.say(_id, other));
			await waitFor("both are stored", async () => (await ada.read(_id)).messages.filter((m) => m.role === "user").length === 2);
			open();
			const [a, b] = await Promise.all(answers);
			assert.equal(a._id, b._id, "one answer");
			assert.deepEqual((await escalationsOf(ada, _id)).map((e) => e.reason), reasons, other);
			upstream.reset();
		}
	});

	test("whatever the model prints, what is stored is one of the allowed ones", async () => {
		const { _id } = await ada.conversation();
		upstream.next(said("I see.", { confidence: 0.95, sentiment: "ABSOLUTELY furious!!", intents: ["world domination"] }));
		await ada.say(_id, "This is terrible");
		const { metadata } = await ada.read(_id);
		assert.equal(metadata.sentiment, "negative");
		assert.deepEqual(metadata.intents, ["general"]);
	});

	test("in a chat session calls nobody by default", async () => {
		const id = await stack.session();
		upstream.next(said("Of course.", { confidence: 0.95, sentiment: "urgent" }));
		const res = await stack.say(id, "The lamp smokes");
		assert.equal((res.json ?? res).needsEscalation, false);
	});

	for (const [value, chat, desk] of [["all", true, 1], ["off", false, 0]])
		test(`ESCALATION_SENTIMENT=${value}`, async () => {
			const other = await startStack({ upstream, env: { ...DESK_ENV, ESCALATION_SENTIMENT: value } });
			try {
				upstream.otherwise = said("I see.", { confidence: 0.95, sentiment: "negative" });
				const bob = await Person.join(other, "Bob");
				const { _id } = await bob.conversation();
				await bob.say(_id, "The lamp is blue");
				await bob.say(_id, "The lamp is green");
				assert.equal((await escalationsOf(bob, _id)).length, desk);
				const id = await other.session();
				await other.say(id, "The lamp is blue");
				const second = await other.say(id, "The lamp is green");
				assert.equal((second.json ?? second).needsEscalation, chat);
				if (chat)
					assert.equal((second.json ?? second).escalation.reason, "sentiment");
			} finally {
				await other.stop();
			}
		});

	test("a setting that is none of them stops the program with a sentence", async () => {
		await assert.rejects(startStack({ env: { ESCALATION_SENTIMENT: "sometimes" } }), /ESCALATION_SENTIMENT is "sometimes"/);
	});
});

test("PUBLIC_SPEND_LIMIT: at the limit nothing begins without a token, and its owner goes on", async () => {
	const other = await startStack({ upstream, env: { ...DESK_ENV, PUBLIC_SPEND_LIMIT: "50tokens" } });
	try {
		const bob = await Person.join(other, "Bob");
		const client = new Client(other.url);
		upstream.otherwise = reply("A few words.");
		client.emit("start_conversation", { userId: bob.user._id, isCallSimulator: true });
		const { conversationId } = await client.when("conversation_started");
		client.emit("user_message", { conversationId, message: "What is your name?" });
		assert.equal((await client.when("ai_response")).message, "A few words.");
		client.emit("user_message", { conversationId, message: "And your address?" });
		const second = await client.when("ai_response", (m) => m.message !== "A few words.");
		assert.equal(second.escalation.reason, "ai_unavailable");
		client.emit("start_conversation", { userId: bob.user._id, isCallSimulator: true });
		assert.match((await client.when("error")).message, /no more calls today/);
		const own = await bob.conversation();
		assert.equal((await bob.say(own._id, "And mine?")).content, "A few words.");
		client.close();
	} finally {
		await other.stop();
	}
});
