// Agents as models of OpenAI's API: what a voice worker with a custom model address asks, through the openai client from npm,
// and what other programs may send.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { startUpstream, reply, serverError } from "./upstream.mjs";
import { startStack, environment, unique, waitFor, root, run } from "./harness.mjs";
import { AGENT, DESK_ENV, Person } from "./desk.mjs";

const vectors = JSON.parse(readFileSync(path.join(root, "tests", "vectors", "openai-sdk.json"), "utf8"));
const KEY = /^sk-hl-[\w-]{44}$/;

let upstream, stack, ada, bob, robin;

// ./run keys: { status, stdout, stderr }
function keysOf(where, args) {
	return new Promise((resolve) => {
		const child = spawn(run, ["keys", ...args, "--state-dir", where.dir], { env: environment(where.env), cwd: root, stdio: ["ignore", "pipe", "pipe"] });
		const out = { stdout: "", stderr: "" };
		child.stdout.on("data", (data) => { out.stdout += data; });
		child.stderr.on("data", (data) => { out.stderr += data; });
		child.on("close", (status) => resolve({ ...out, status }));
	});
}

async function makeKey(person, name = unique("worker")) {
	const out = await keysOf(person.stack, ["add", "--name", name, "--owner", person.account.email]);
	assert.equal(out.status, 0, out.stderr);
	assert.match(out.stdout.trim(), KEY);
	return out.stdout.trim();
}

const clientOf = (person, more = {}) => new OpenAI({ baseURL: `${person.stack.url}/v1`, apiKey: person.key, maxRetries: 0, ...more });

async function withKey(where, name) {
	const person = await Person.join(where, name);
	person.key = await makeKey(person);
	person.openai = clientOf(person);
	return person;
}

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: DESK_ENV });
	ada = await withKey(stack, "Ada Lovelace");
	bob = await withKey(stack, "Bob Byron");
	robin = await ada.agent({ settings: { maxTokens: 300, temperature: 0.25 } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const ask = (more = {}, who = ada) => who.openai.chat.completions.create({ model: robin._id, messages: [{ role: "user", content: "How long does delivery take?" }], ...more });
const post = (body, headers = {}) => stack.post("/v1/chat/completions", body, { authorization: `Bearer ${ada.key}`, ...headers });
const prompt = () => upstream.last.body.messages;

function assertFailure(res, status, { type = "invalid_request_error", code, param, message } = {}, what = "") {
	assert.equal(res.status, status, `${what} ${res.text}`);
	assert.match(res.headers["content-type"], /^application\/json\b/);
	assert.deepEqual(Object.keys(res.json), ["error"]);
	assert.deepEqual(Object.keys(res.json.error), ["message", "type", "param", "code"]);
	assert.equal(res.json.error.type, type, `${what} ${res.text}`);
	if (code !== undefined)
		assert.equal(res.json.error.code, code, `${what} ${res.text}`);
	if (param !== undefined)
		assert.equal(res.json.error.param, param, `${what} ${res.text}`);
	if (message)
		assert.match(res.json.error.message, message);
	assert.doesNotMatch(res.text, /nginx/);
}

describe("through the openai client", () => {
	test("an answer, whole: the agent's, with what OpenAI's clients read and with what is ours", async () => {
		upstream.next(reply("Delivery takes two days."));
		const answer = await ask();
		const { x_helpline: ours, ...theirs } = answer;
		assert.match(answer.id, /^chatcmpl-[\w-]{22}$/);
		assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
		assert.deepEqual({ ...theirs, id: "x", created: 1 }, {
			id: "x", object: "chat.completion", created: 1, model: robin._id,
			choices: [{ index: 0, message: { role: "assistant", content: "Delivery takes two days.", refusal: null }, logprobs: null, finish_reason: "stop" }],
			usage: { ...upstream.last.usage },
		});
		assert.equal(ours.agent, robin._id);
		assert.deepEqual([ours.provider, ours.confidence, ours.needsEscalation, ours.escalation], ["openai", 0.9, false, null]);
		assert.ok(ours.sources.length > 0 && ours.sources[0].source, "the company's knowledge is behind it");
		assert.equal(answer._request_id.length, 22);
	});

	test("the agent's persona and settings hold, its owner's knowledge is with it", async () => {
		await ask({ temperature: 1.9, max_tokens: 9, top_p: 0.1, presence_penalty: -1 });
		const { body } = upstream.last;
		assert.equal(body.messages[0].role, "system");
		for (const text of [AGENT.name, AGENT.companyName, AGENT.personality, AGENT.companyInfo, AGENT.prompts[0], "What the company has written down"])
			assert.ok(body.messages[0].content.includes(text), text);
		assert.deepEqual([body.temperature, body.max_completion_tokens, body.top_p, body.presence_penalty], [0.25, 300, undefined, undefined]);
		assert.equal(body.model, "test-model");
	});

	test("an answer, streamed: the role, the words as the model writes them, an empty delta that ends it, the usage, [DONE]", async () => {
		upstream.next(reply("Delivery takes two days, mostly.", { tokenDelay: 20 }));
		const chunks = [];
		for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } }))
			chunks.push(chunk);
		const [golden] = vectors.scenarios.filter((s) => s.name === "chat streamed with usage").map((s) => s.result.ok);
		assert.deepEqual(Object.keys(chunks[0]), Object.keys(golden[0]));
		assert.deepEqual(chunks[0].choices, golden[0].choices, "the first chunk is as OpenAI's");
		assert.deepEqual(Object.keys(chunks[1].choices[0]), Object.keys(golden[1].choices[0]));
		assert.equal(chunks[0].usage, null);
		const words = chunks.slice(1, -2);
		assert.ok(words.length > 2, `${words.length} pieces`);
		assert.equal(words.map((c) => c.choices[0].delta.content).join(""), "Delivery takes two days, mostly.");
		const end = chunks.at(-2);
		assert.deepEqual(end.choices, [{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }]);
		assert.equal(end.x_helpline.needsEscalation, false);
		assert.ok(end.x_helpline.sources.length > 0);
		assert.deepEqual(chunks.at(-1).choices, []);
		assert.deepEqual(chunks.at(-1).usage, upstream.last.usage);
		for (const chunk of chunks)
			assert.deepEqual([chunk.id, chunk.object, chunk.created, chunk.model], [chunks[0].id, "chat.completion.chunk", chunks[0].created, robin._id]);
	});

	test("without include_usage no chunk speaks of it; the client's helper puts the same together", async () => {
		upstream.next(reply("Two days."), reply("Three days."));
		for await (const chunk of await ask({ stream: true }))
			assert.ok(!("usage" in chunk) && chunk.choices.length === 1);
		const runner = ada.openai.beta.chat.completions.stream({ model: robin._id, messages: [{ role: "user", content: "How long?" }] });
		assert.equal(await runner.finalContent(), "Three days.");
		assert.equal((await runner.finalChatCompletion()).choices[0].finish_reason, "stop");
	});

	test("the first word is here before the last one is written", async () => {
		upstream.next(reply("one two three four five six seven eight", { tokenDelay: 150 }));
		let words = 0;
		for await (const chunk of await ask({ stream: true })) {
			if (chunk.choices[0].delta.content && words++ === 0)
				assert.equal(upstream.last.endedAt, undefined, "the model still writes");
		}
		assert.ok(words > 2);
	});

	test("by the agent's name", async () => {
		const name = unique("Robin");
		const first = await ada.agent({ name, companyInfo: "the first of the two" });
		const second = await ada.agent({ name, companyInfo: "the second of the two" });
		const answer = await ask({ model: `helpline/${name}` });
		assert.equal(answer.model, `helpline/${name}`);
		assert.ok(prompt()[0].content.includes("the first of the two"), "of two with one name the older one keeps it");
		await ada.put(`/api/agents/${first._id}`, { name: unique("Renamed") });
		assert.equal((await ask({ model: `helpline/${name}` })).x_helpline.agent, second._id, "a change is seen at once");
		await ada.delete(`/api/agents/${second._id}`);
		await assert.rejects(ask({ model: `helpline/${name}` }), { status: 404, code: "model_not_found" });
	});

	test("GET /v1/models and /v1/models/:id: the account's agents that take calls", async () => {
		const carl = await withKey(stack, "Carl Gauss");
		assert.deepEqual((await carl.openai.models.list()).data, []);
		await assert.rejects(ask({ model: "helpline/Nobody" }, carl), { status: 404 });
		const agents = [await carl.agent({ name: "Twin" }), await carl.agent({ name: "Twin" }), await carl.agent({ name: "Off", status: "inactive" })];
		const { data } = await carl.openai.models.list();
		assert.deepEqual(data.map((m) => m.id), [agents[1]._id, "helpline/Twin"]);
		assert.deepEqual(data[1], { id: "helpline/Twin", object: "model", created: Math.floor(Date.parse(agents[0].createdAt) / 1000),
			owned_by: AGENT.companyName, x_helpline: { agent: agents[0]._id, name: "Twin" } });
		for (const id of [agents[0]._id, agents[1]._id, "helpline/Twin", "helpline%2FTwin"])
			assert.equal((await carl.openai.models.retrieve(id)).id, decodeURIComponent(id));
		for (const id of [agents[0]._id, "helpline/Twin"])	// once more as the description of the API is compared with
			assert.equal((await stack.get(`/v1/models/${id}`, { authorization: `Bearer ${carl.key}` })).json.id, id);
		for (const id of [agents[2]._id, "helpline/Off", robin._id, "gpt-4o", "helpline/", "helpline%2F%c3%28", "x".repeat(300)])
			await assert.rejects(carl.openai.models.retrieve(id), { status: 404 }, id);
	});
});

describe("what the caller knows of the conversation", () => {
	test("is the context: its messages in their order, contents as texts or in parts", async () => {
		await ask({ messages: [
			{ role: "user", content: "Hello" }, { role: "assistant", content: [{ type: "text", text: "Hi, " }, { type: "refusal", refusal: "no more" }] },
			{ role: "user", content: [{ type: "text", text: "What is " }, { type: "text", text: "a dibber?" }], name: "Jo" },
			{ role: "assistant", content: null, tool_calls: [{ id: "call_1", type: "function", function: { name: "look", arguments: "{}" } }] },
			{ role: "tool", tool_call_id: "call_1", content: "nothing" }, { role: "tool", content: [{ type: "image_url" }] }, { role: "user", content: "" }, { role: "user", content: "Tell me!" },
		], tools: [{ type: "function", function: { name: "look", parameters: {} } }], tool_choice: "auto" });
		assert.deepEqual(prompt().slice(1), [
			{ role: "user", content: "Hello" }, { role: "assistant", content: "Hi, no more" },
			{ role: "user", content: "What is a dibber?" }, { role: "user", content: "Tell me!" },
		]);
		assert.equal(upstream.last.body.tools, undefined);
	});

	test("its own instructions come after the agent's, which go first", async () => {
		await ask({ messages: [
			{ role: "system", content: "Say it in one sentence, for the ear." }, { role: "user", content: "Hello" },
			{ role: "developer", content: [{ type: "text", text: "It is late in the evening." }] },
		] });
		const [system, ...rest] = prompt();
		assert.deepEqual(rest, [{ role: "user", content: "Hello" }]);
		const at = ["Only this text instructs you", "What it says of the form of your answers holds", "Say it in one sentence, for the ear.\n\nIt is late in the evening."]
			.map((text) => system.content.indexOf(text));
		assert.ok(at[0] > 0 && at[0] < at[1] && at[1] < at[2], at.join());
	});

	test("without a customer's message the agent speaks first", async () => {
		upstream.next(reply("Hello, this is Robin."));
		const answer = await ask({ messages: [{ role: "developer", content: "Greet the customer." }] });
		assert.equal(answer.choices[0].message.content, "Hello, this is Robin.");
		assert.ok(prompt()[0].content.includes("Greet the customer."));
		assert.deepEqual(answer.x_helpline.sources, []);
	});

	test("of a conversation that has no name nothing is stored but figures", async () => {
		const redis = await stack.redis();
		const keys = async () => (await redis.call("KEYS", "*")).map(String).filter((k) => !/^(rl|holders|spend|gone)\b/.test(k)).sort();
		await ask();
		const was = await keys();
		await ask({ messages: [{ role: "user", content: "I want to talk to a real person" }], prompt_cache_key: "warm" });
		assert.deepEqual(await keys(), was);
		assert.deepEqual(await ada.list(), []);
	});
});

describe("what counts", () => {
	const total = async (who) => (await who.ok("GET", "/api/analytics")).totals;

	test("a conversation with its first message, answers, tokens and money with each, by the agent", async () => {
		const carl = await withKey(stack, "Carl Gauss");
		const [one, two] = [await carl.agent(), await carl.agent({ name: "Wren" })];
		const used = [
			await ask({ model: one._id, messages: [{ role: "assistant", content: "Hello!" }, { role: "user", content: "How long?" }] }, carl),
			await ask({ model: one._id, messages: [{ role: "user", content: "How long?" }, { role: "assistant", content: "Two days." }, { role: "user", content: "Sure?" }] }, carl),
		].map((answer) => answer.usage);
		const [input, output] = ["prompt_tokens", "completion_tokens"].map((name) => used[0][name] + used[1][name]);
		const report = await carl.ok("GET", "/api/analytics");
		const { totals } = report;
		assert.deepEqual([totals.conversations, totals.customerMessages, totals.answers, totals.firstResponseMs.count], [1, 2, 2, 1]);
		assert.deepEqual(totals.tokens, { input, output });
		assert.ok(Math.abs(totals.cost - (input * 0.15 + output * 0.6) / 1e6) < 2e-6, totals.cost);
		assert.deepEqual(report.byAgent.map((row) => [row.agentId, row.conversations, row.tokens.input]), [[one._id, 1, input], [two._id, 0, 0]]);
		assert.deepEqual(report.byDay.at(-1).tokens, totals.tokens);
		assert.equal(totals.completed, 0, "nobody tells whether it ended well");
		assert.deepEqual(await carl.list(), []);
	});

	test("an answer that nobody waited for costs what it cost, and is none", async () => {
		const carl = await withKey(stack, "Carl Gauss");
		const agent = await carl.agent();
		upstream.next(reply("one two three four five six seven eight", { tokenDelay: 100 }));
		for await (const chunk of await ask({ model: agent._id, stream: true }, carl))
			if (chunk.choices[0].delta.content)
				break;
		await waitFor("the cost", async () => (await total(carl)).tokens.output > 0);
		assert.equal((await total(carl)).answers, 0);
	});
});

describe("escalation", () => {
	test("who asks for a person gets an answer that promises nothing, and the program is told", async () => {
		const answer = await ask({ messages: [{ role: "user", content: "I want to talk to a real person, please" }] });
		assert.deepEqual(answer.x_helpline.escalation, { reason: "asked_for_person" });
		assert.equal(answer.x_helpline.needsEscalation, true);
		assert.doesNotMatch(answer.choices[0].message.content, /I have asked/);
		assert.equal(upstream.chats.length, 0);
	});

	test("a keyword, a doubtful answer, and a customer who is unhappy twice in a row", async () => {
		const keyword = await ask({ messages: [{ role: "user", content: "This is urgent, I need my order" }] });
		assert.equal(keyword.x_helpline.escalation.reason, "keyword");
		assert.equal(keyword.x_helpline.escalation.keyword, "urgent");
		upstream.next(reply("Maybe.", { said: { confidence: 0.1 } }));
		const chunks = [];
		for await (const chunk of await ask({ stream: true }))
			chunks.push(chunk);
		assert.equal(chunks.at(-1).x_helpline.escalation.reason, "low_confidence");
		assert.match(chunks.map((c) => c.choices[0].delta.content ?? "").join(""), /^Maybe\.\n\nSomebody from our team/);
		upstream.next(reply("I am sorry.", { said: { sentiment: "negative" } }));
		const twice = await ask({ messages: [
			{ role: "user", content: "This is terrible, I am very disappointed" }, { role: "assistant", content: "I am sorry to hear that." },
			{ role: "user", content: "It is still broken and I hate it" },
		] });
		assert.equal(twice.x_helpline.escalation.reason, "sentiment");
	});
});

describe("a conversation with a name", () => {
	const PERSON = "I want to talk to a real person, please";
	const before = [{ role: "assistant", content: "Hello, this is Robin." }, { role: "user", content: "Where is my spade?" }, { role: "assistant", content: "On its way." }];
	const open = async (who) => await who.ok("GET", "/api/escalations?status=open");
	const carl = async () => {
		const person = await withKey(stack, "Carl Gauss");
		return { person, agent: await person.agent() };
	};

	for (const [what, name] of [["user", { user: "+44 20 7946 0000" }], ["safety_identifier", { safety_identifier: "caller-7" }], ["metadata.conversationId", { metadata: { conversationId: "room-7", other: "x" } }]])
		test(`by ${what}: who asks for a person is in the list, with what was said before`, async () => {
			const { person, agent } = await carl();
			const about = { model: agent._id, ...name };
			await ask({ ...about, messages: before.slice(0, 2) }, person);
			assert.deepEqual(await person.list(), [], "nothing is stored while nobody need know");
			const answer = await ask({ ...about, messages: [...before, { role: "user", content: PERSON }] }, person);
			const { escalation, conversationId } = answer.x_helpline;
			assert.equal(escalation.reason, "asked_for_person");
			assert.match(answer.choices[0].message.content, /I have asked a person/);
			const [listed, ...others] = await open(person);
			assert.deepEqual([listed._id, listed.conversationId, listed.reason, others.length], [escalation.id, conversationId, "asked_for_person", 0]);
			if (what !== "metadata.conversationId")
				assert.equal(listed.userId, Object.values(name)[0]);
			const full = await person.ok("GET", `/api/escalations/${listed._id}`);
			assert.deepEqual(full.messages.map((m) => [m.role, m.content]), [...before.map((m) => [m.role, m.content]), ["user", PERSON], ["assistant", answer.choices[0].message.content]]);
			const [conversation] = await person.list();
			assert.deepEqual([conversation._id, conversation.agentId], [conversationId, agent._id]);
			const { totals } = await person.ok("GET", "/api/analytics");
			assert.deepEqual([totals.conversations, totals.escalated, totals.customerMessages, totals.answers], [1, 1, 2, 2]);
		});

	test("a long one that ends with a person has its newest 500 messages", async () => {
		const { person, agent } = await carl();
		const said = Array.from({ length: 520 }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: `Word ${i} about spades` }));
		const answer = await ask({ model: agent._id, user: "caller-long", messages: [...said, { role: "user", content: PERSON }] }, person);
		const [listed] = await open(person);
		assert.equal(listed?._id, answer.x_helpline.escalation.id);
		const messages = await person.ok("GET", `/api/conversations/${listed.conversationId}/messages`);
		assert.deepEqual(messages.map((m) => m.content), [...said.slice(20).map((m) => m.content), PERSON, answer.choices[0].message.content]);
	});

	test("from then on its turns are stored, and are answered by whoever has it", async () => {
		const { person, agent } = await carl();
		const said = [{ role: "user", content: PERSON }];
		const about = { model: agent._id, user: "caller-8", stream: true };
		const next = async (content) => {
			said.push({ role: "user", content });
			const chunks = [];
			for await (const chunk of await ask({ ...about, messages: said }, person))
				chunks.push(chunk);
			const text = chunks.map((c) => c.choices[0]?.delta.content ?? "").join("");
			said.push({ role: "assistant", content: text });
			return { text, ours: chunks.at(-1).x_helpline };
		};
		said.pop();
		const first = await next(PERSON);
		const { id } = first.ours.escalation;
		upstream.next(reply("Two days."));
		const second = await next("How long does delivery take?");
		assert.deepEqual([second.text, second.ours.conversationId, second.ours.owner], ["Two days.", first.ours.conversationId, "ai"]);
		assert.match((await next(PERSON)).text, /already been asked/);
		assert.equal((await open(person)).length, 1);
		await person.ok("POST", `/api/escalations/${id}/take`);
		const asked = upstream.chats.length;
		const third = await next("Are you there?");
		assert.match(third.text, /A person from our team has taken over/);
		assert.deepEqual([third.ours.owner, third.ours.escalation.id, upstream.chats.length], ["human", id, asked]);
		const { messages } = await person.ok("GET", `/api/escalations/${id}`);
		assert.deepEqual(messages.map((m) => m.content).slice(-2), [messages.at(-2).content, "Are you there?"]);
		await person.ok("POST", `/api/escalations/${id}/close`);
		assert.notEqual((await next(PERSON)).ours.escalation.id, id, "what comes after the end is a new one");
		assert.equal((await person.list()).length, 1);
		assert.equal((await person.ok("GET", "/api/analytics")).totals.conversations, 1);
	});

	test("after a person had it the model knows what he wrote and noted, of which the program knows nothing", async () => {
		const { person, agent } = await carl(), about = { model: agent._id, user: "caller-10" };
		const said = [...before, { role: "user", content: PERSON }];
		const { x_helpline: { escalation } } = await ask({ ...about, messages: said }, person);
		await person.ok("POST", `/api/escalations/${escalation.id}/take`);
		await person.ok("POST", `/api/escalations/${escalation.id}/reply`, { content: "It is Ada: you have 20 per cent off." }, 201);
		await person.ok("POST", `/api/escalations/${escalation.id}/return`, { note: "Be generous with him." });
		said.push({ role: "assistant", content: "One moment." }, { role: "user", content: "What does it cost then?" });
		upstream.next(reply("Four pounds."));
		await ask({ ...about, messages: said }, person);
		const texts = prompt().map((m) => m.content);
		const reply_ = texts.findIndex((t) => t.includes("It is Ada: you have 20 per cent off.")), question = texts.indexOf("What does it cost then?");
		assert.ok(reply_ > texts.indexOf("One moment.") && reply_ < question, JSON.stringify(texts));
		assert.ok(texts.some((t) => t.includes("Be generous with him.")));
	});

	test("of one that was deleted, who comes again and asks for a person is in the list again", async () => {
		const { person, agent } = await carl(), about = { model: agent._id, user: "caller-9" }, said = [{ role: "user", content: PERSON }];
		const first = (await ask({ ...about, messages: said }, person)).x_helpline;
		await person.ok("POST", `/api/escalations/${first.escalation.id}/take`);
		await person.ok("DELETE", `/api/conversations/${first.conversationId}`);
		const second = (await ask({ ...about, messages: said }, person)).x_helpline;
		const open_ = await open(person);
		assert.deepEqual(open_.map((e) => [e._id, e.conversationId]), [[second.escalation.id, second.conversationId]]);
		assert.deepEqual((await person.ok("GET", `/api/conversations/${second.conversationId}/messages`)).map((m) => m.content)[0], PERSON);
		upstream.next(reply("Two days."));
		const chunks = await ask({ ...about, messages: [...said, { role: "assistant", content: "One moment." }, { role: "user", content: "How long?" }] }, person);
		assert.equal(chunks.choices[0].message.content, "Two days.");
		upstream.next(reply("It is blue."));
		assert.equal((await person.say(second.conversationId, "And the colour?")).content, "It is blue.", "its turns are run at once");
	});

	test("a turn that is broken off, as the customer interrupts, is stored as far as the program says that it was heard", async () => {
		const { person, agent } = await carl();
		const conversation = await person.ok("POST", "/api/conversations", { agentId: agent._id }, 201);
		const said = [];
		const about = { model: agent._id, metadata: { conversationId: conversation._id } };
		const next = async (content, answer) => {
			said.push({ role: "user", content });
			upstream.next(reply(answer));
			const { choices: [{ message }] } = await ask({ ...about, messages: said }, person);
			said.push({ role: "assistant", content: message.content });
		};
		const interrupted = async (content, heard) => {
			said.push({ role: "user", content });
			upstream.next(reply("word ".repeat(500), { tokenDelay: 50 }));
			const gone = new AbortController();
			for await (const chunk of await person.openai.chat.completions.create({ ...about, messages: said, stream: true }, { signal: gone.signal }))
				if (chunk.choices[0].delta.content)
					break;
			gone.abort();
			await waitFor("the model's server sees it", () => upstream.last.aborted);
			said.push({ role: "assistant", content: heard });
		};
		const stored = async () => (await person.ok("GET", `/api/conversations/${conversation._id}`)).messages.slice(1).map(({ role, content }) => ({ role, content }));
		await next("Hello", "Hello to you.");
		await interrupted("Tell me everything", "word word");
		assert.equal((await stored()).length, 2, "nobody knows yet what was heard of it");
		await next("Stop. Two lamps", "Two lamps.");
		assert.deepEqual(await stored(), said);
		await next("Stop. Two lamps", "Two more lamps.");
		await interrupted("And then?", "word");
		await interrupted("And what does it cost?", "word word word");
		await next("Thank you", "You are welcome.");
		assert.deepEqual(await stored(), said, "each once, in the order in which it was said");
		const { totals } = await person.ok("GET", "/api/analytics");
		assert.deepEqual([totals.conversations, totals.customerMessages], [1, 7]);
	});

	test("a request that is sent again with its Idempotency-Key is stored once", async () => {
		const { person, agent } = await carl();
		const conversation = await person.ok("POST", "/api/conversations", { agentId: agent._id }, 201);
		const send = (content, key) => person.openai.chat.completions.create({ model: agent._id, metadata: { conversationId: conversation._id },
			messages: [{ role: "user", content }] }, { headers: key && { "Idempotency-Key": key } });
		const first = await send(PERSON, "turn-1"), again = await send(PERSON, "turn-1");
		assert.ok(first.x_helpline.escalation.id);
		assert.equal(again.x_helpline.escalation.id, first.x_helpline.escalation.id);
		await send("Yes", "turn-2");
		await send("Yes", "turn-3");
		const { messages } = await person.ok("GET", `/api/conversations/${conversation._id}`);
		assert.deepEqual(messages.filter((m) => m.role === "user").map((m) => m.content), [PERSON, "Yes", "Yes"]);
		assert.equal((await person.ok("GET", "/api/analytics")).totals.customerMessages, 3);
		await assert.rejects(send("Yes", "k".repeat(300)), (e) => e.status === 400);
	});

	test("one that is stored here already, by its id", async () => {
		const { person, agent } = await carl();
		const conversation = await person.ok("POST", "/api/conversations", { agentId: agent._id }, 201);
		upstream.next(reply("Two days."));
		const answer = await ask({ model: agent._id, metadata: { conversationId: conversation._id } }, person);
		assert.equal(answer.x_helpline.conversationId, conversation._id);
		const shown = await person.ok("GET", `/api/conversations/${conversation._id}`);
		assert.deepEqual(shown.messages.map((m) => m.content).slice(1), ["How long does delivery take?", "Two days."]);
		assert.equal(`chatcmpl-${shown.messages.at(-1)._id}`, answer.id);
		const { totals } = await person.ok("GET", "/api/analytics");
		assert.deepEqual([totals.conversations, totals.customerMessages, totals.answers, totals.tokens.input], [1, 1, 1, answer.usage.prompt_tokens]);
	});

	test("another account's is none, and its name is another conversation", async () => {
		const { person, agent } = await carl();
		const theirs = await ada.ok("POST", "/api/conversations", { agentId: robin._id }, 201);
		const answer = await ask({ model: agent._id, messages: [{ role: "user", content: PERSON }], metadata: { conversationId: theirs._id } }, person);
		assert.notEqual(answer.x_helpline.conversationId, theirs._id);
		assert.equal((await ada.ok("GET", `/api/conversations/${theirs._id}`)).messages.length, 1);
		assert.equal((await open(person)).length, 1);
		const same = await ask({ messages: [{ role: "user", content: PERSON }], metadata: { conversationId: theirs._id } });
		assert.equal(same.x_helpline.conversationId, theirs._id);
		await ada.delete(`/api/conversations/${theirs._id}`);
	});

	test("a model that fails is an escalation there, with the words for it", async () => {
		const { person, agent } = await carl();
		for (let i = 0; i < 6; i++)
			upstream.next(serverError());
		const answer = await ask({ model: agent._id, user: "caller-9" }, person);
		upstream.reset();
		assert.match(answer.choices[0].message.content, /I cannot answer right now/);
		const [listed] = await open(person);
		assert.deepEqual([listed.reason, listed._id], ["ai_unavailable", answer.x_helpline.escalation.id]);
	});
});

describe("keys", () => {
	test("./run keys: printed once, listed without it, removed; what they do not tell is not stored", async () => {
		const name = unique("key");
		const args = ["--name", name, "--owner", ada.account.email.toUpperCase()];
		const made = await keysOf(stack, ["add", ...args]);
		assert.equal(made.status, 0, made.stderr);
		const key = made.stdout.trim();
		assert.match(key, KEY);
		const again = await keysOf(stack, ["add", ...args]);
		assert.deepEqual([again.status, again.stdout], [1, ""]);
		assert.match(again.stderr, /of this name already/);
		const line = async () => (await keysOf(stack, ["list"])).stdout.split("\n").find((l) => l.endsWith(name));
		assert.match(await line(), new RegExp(`^\\d{4}-\\d\\d-\\d\\d  last used never +${ada.account.email} +${name}$`));
		await ask({}, { openai: clientOf({ stack, key }) });
		assert.match(await line(), /last used \d{4}-\d\d-\d\dT\d\d:\d\d/);
		const redis = await stack.redis();
		for (const k of (await redis.call("KEYS", "*")).map(String)) {
			const type = String(await redis.call("TYPE", k));
			const value = type === "hash" ? (await redis.call("HGETALL", k)).join() : type === "string" ? String(await redis.call("GET", k)) : "";
			assert.ok(![k, value].some((text) => text.includes(key) || text.includes(key.slice(6)) || text.includes(name)), k);
		}
		const removed = await keysOf(stack, ["remove", ...args]);
		assert.equal(removed.status, 0, removed.stderr);
		assert.equal(await line(), undefined);
		await assert.rejects(ask({}, { openai: clientOf({ stack, key }) }), { status: 401, code: "invalid_api_key" });
		assert.equal((await keysOf(stack, ["remove", ...args])).status, 1);
		assert.ok(!stack.log().includes(key) && !stack.log().includes(key.slice(6)));
	});

	test("./run keys says what is wrong", async () => {
		for (const [args, status, sentence] of [
			[["add"], 2, /usage/], [["add", "--name", "x", "extra"], 2, /usage/], [["list", "--name", "x"], 2, /usage/], [["list", "--owner", "a@example.com"], 2, /usage/],
			[["forget"], 2, /usage/], [[], 2, /usage/], [["add", "--name", "x"], 1, /no administrator yet/], [["add", "--name", " "], 1, /name/],
			[["add", "--name", "two\nlines"], 1, /one line/], [["add", "--name", "x".repeat(101)], 1, /too long/],
			[["add", "--name", "x", "--owner", "nobody"], 1, /not valid/], [["add", "--name", "x", "--owner", "nobody@example.com"], 1, /no account/],
			[["remove", "--name", "init", "--owner", ada.account.email], 1, /no key of this name/],
		]) {
			const out = await keysOf(stack, args);
			assert.equal(out.status, status, `${args}: ${out.stderr}`);
			assert.match(out.stderr, sentence);
		}
	});

	test("what is no key is 401, as OpenAI says it", async () => {
		const [golden] = vectors.scenarios.filter((s) => s.name === "error 401").map((s) => s.result.error);
		for (const header of [undefined, "", "Bearer", "Bearer ", "Basic abc", `Bearer ${ada.token}`, `Bearer ${ada.key.slice(0, -1)}`, `Bearer ${ada.key}x`,
			`Bearer sk-hl-${"a".repeat(44)}`, `Bearer ${"x".repeat(6000)}`])
			for (const [method, target] of [["POST", "/v1/chat/completions"], ["GET", "/v1/models"], ["GET", `/v1/models/${robin._id}`], ["GET", "/v1/models/helpline/Robin"]]) {
				const res = await stack.call(method, target, { headers: header === undefined ? {} : { authorization: header },
					body: method === "POST" ? { model: robin._id, messages: [{ role: "user", content: "Hello" }] } : undefined });
				assertFailure(res, 401, { type: golden.type, code: golden.code, param: golden.param }, `${target} ${header?.slice(0, 60)}`);
				assert.equal(res.headers["www-authenticate"], "Bearer");
			}
		await assert.rejects(ask({}, { openai: clientOf({ stack, key: "sk-other" }) }), (e) => e.constructor.name === golden.class && e.code === golden.code);
		assert.equal(upstream.chats.length, 0);
	});

	test("a key is no token of the desk's", async () => {
		assert.equal((await stack.get("/api/agents", { authorization: `Bearer ${ada.key}` })).status, 401);
	});

	test("another's agents are 404, as if they were not there", async () => {
		const [golden] = vectors.scenarios.filter((s) => s.name === "error 404 model").map((s) => s.result.error);
		const shape = (error) => [error.constructor.name, error.status, error.code, error.type, error.param].join();
		const theirs = await ask({}, bob).catch((e) => e);
		assert.equal(shape(theirs), [golden.class, 404, golden.code, golden.type, golden.param].join());
		const none = await ask({ model: "a".repeat(22) }, bob).catch((e) => e);
		assert.equal(none.message, theirs.message.replace(robin._id, "a".repeat(22)));
		await assert.rejects(ask({ model: `helpline/${AGENT.name}` }, bob), { status: 404 });
		assert.ok(!(await stack.get("/v1/models", { authorization: `Bearer ${bob.key}` })).text.includes(robin._id));
		await assert.rejects(bob.openai.models.retrieve(robin._id), { status: 404 });
		assert.equal(upstream.chats.length, 0);
	});
});

describe("bad input", () => {
	const hello = [{ role: "user", content: "Hello" }];
	const good = () => ({ model: robin._id, messages: hello });

	test("is 400 and names the parameter", async () => {
		const part = (value) => [{ role: "user", content: [value] }];
		for (const [more, param, code] of [
			[{ model: undefined }, "model", "missing_required_parameter"], [{ model: null }, "model", "missing_required_parameter"], [{ model: 7 }, "model", "invalid_type"],
			[{ model: "" }, "model"], [{ model: "x".repeat(257) }, "model", "string_above_max_length"],
			[{ messages: undefined }, "messages", "missing_required_parameter"], [{ messages: null }, "messages"], [{ messages: "Hello" }, "messages", "invalid_type"],
			[{ messages: {} }, "messages", "invalid_type"], [{ messages: [] }, "messages", "empty_array"], [{ messages: ["Hello"] }, "messages[0]", "invalid_type"],
			[{ messages: [null] }, "messages[0]"], [{ messages: [{}] }, "messages[0].role", "missing_required_parameter"],
			[{ messages: [...hello, { role: "robot", content: "x" }] }, "messages[1].role", "invalid_value"], [{ messages: [{ role: 7, content: "x" }] }, "messages[0].role", "invalid_type"],
			[{ messages: [{ role: "user" }] }, "messages[0].content", "missing_required_parameter"], [{ messages: [{ role: "user", content: null }] }, "messages[0].content", "invalid_type"],
			[{ messages: [{ role: "user", content: 7 }] }, "messages[0].content", "invalid_type"], [{ messages: [{ role: "system", content: { a: 1 } }] }, "messages[0].content"],
			[{ messages: part("x") }, "messages[0].content[0]"], [{ messages: part({}) }, "messages[0].content[0].type"],
			[{ messages: part({ type: "text" }) }, "messages[0].content[0].text"], [{ messages: part({ type: "text", text: 7 }) }, "messages[0].content[0].text"],
			[{ messages: part({ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }) }, "messages[0].content[0].type", "invalid_value"],
			[{ messages: part({ type: "input_audio", input_audio: { data: "AA==", format: "wav" } }) }, "messages[0].content[0].type", "invalid_value"],
			[{ stream: "yes" }, "stream"], [{ stream: 1 }, "stream"], [{ stream: true, stream_options: [] }, "stream_options"], [{ stream_options: {} }, "stream_options"],
			[{ stream: true, stream_options: { include_usage: 1 } }, "stream_options.include_usage"],
			[{ temperature: "hot" }, "temperature", "invalid_type"], [{ temperature: 3 }, "temperature", "decimal_out_of_range"], [{ temperature: -1 }, "temperature"],
			[{ max_tokens: 0 }, "max_tokens"], [{ max_completion_tokens: 1.5 }, "max_completion_tokens", "invalid_type"], [{ top_p: [] }, "top_p"],
			[{ n: 2 }, "n", "unsupported_value"], [{ metadata: "x" }, "metadata", "invalid_type"], [{ metadata: { conversationId: 7 } }, "metadata.conversationId", "invalid_type"],
			[{ metadata: { conversationId: "x".repeat(257) } }, "metadata.conversationId", "string_above_max_length"], [{ n: 0 }, "n"], [{ n: "1" }, "n"], [{ stop: ["."] }, "stop", "unsupported_parameter"], [{ logprobs: true }, "logprobs"],
			[{ tool_choice: "required" }, "tool_choice"], [{ tool_choice: { type: "function", function: { name: "x" } } }, "tool_choice"],
			[{ function_call: { name: "x" } }, "function_call"], [{ modalities: ["text", "audio"] }, "modalities"],
			[{ response_format: { type: "json_object" } }, "response_format"], [{ response_format: "text" }, "response_format"], [{ user: 7 }, "user"], [{ user: "x".repeat(300) }, "user"],
		])
			assertFailure(await post({ ...good(), ...more }), 400, { param, ...(code && { code }) }, JSON.stringify(more).slice(0, 200));
		assert.equal(upstream.chats.length, 0);
	});

	test("what says nothing is taken: nulls, and parameters that nobody knows", async () => {
		const nulls = Object.fromEntries(["stream", "stream_options", "temperature", "top_p", "n", "stop", "max_tokens", "logprobs", "tool_choice", "tools", "response_format",
			"user", "modalities", "seed", "metadata"].map((name) => [name, null]));
		for (const more of [nulls, { response_format: { type: "text" }, n: 1, tool_choice: "none", modalities: ["text"], parallel_tool_calls: true, store: false, metadata: { a: "b" },
			reasoning_effort: "low", unheard_of: [1], user: "caller-7", stream: false }])
			assert.equal((await post({ ...good(), ...more })).status, 200, JSON.stringify(more));
	});

	test("bodies that are none, methods and addresses that are not there", async () => {
		for (const [body, headers, status, more] of [
			["", {}, 400], ["{", {}, 400], ["[]", {}, 400], ["null", {}, 400], [Buffer.from([0x7b, 0xff, 0x7d]), {}, 400], ['{"model":"\\ud800","messages":[]}', {}, 400],
			['{"model":"a\\u0000b","messages":[]}', {}, 400], ['{"model":"a","model":"b"}', {}, 400], ["[".repeat(1000), {}, 400],
			["model=x", { "content-type": "text/plain" }, 415], [JSON.stringify({ ...good(), pad: "x".repeat(300_000) }), {}, 413],
		])
			assertFailure(await post(body, headers), status, more, String(body).slice(0, 60));
		const headers = { authorization: `Bearer ${ada.key}` };
		const method = await stack.get("/v1/chat/completions", headers);
		assertFailure(method, 405, { code: "method_not_supported" });
		assert.equal(method.headers.allow, "POST");
		for (const target of ["/v1/", "/v1/embeddings", "/v1/models/a/b", "/v1/chat"])
			assertFailure(await stack.get(target, headers), 404, { code: "unknown_url" }, target);
		assertFailure(await stack.get("/v1/models", { ...headers, origin: "https://evil.example" }), 403, { code: "forbidden" });
	});

	test("what is as large as may be is read quickly", async () => {
		await post(good());
		for (const content of ["a ".repeat(120_000), "?!".repeat(120_000), "speak to a ".repeat(20_000), "\u00e4".repeat(120_000), "\n".repeat(60_000)]) {
			const start = Date.now();
			assert.equal((await post({ ...good(), messages: [{ role: "system", content: "x".repeat(1000) }, { role: "user", content }] })).status, 200, content.slice(0, 10));
			const first = Date.now() - start;
			assert.ok(first < 5000, `${content.slice(0, 10)}: ${first} ms`);
		}
	});

	test("five thousand messages are too many, and two thousand are not", async () => {
		const many = (n) => Array.from({ length: n }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: "x" }));
		assertFailure(await post({ ...good(), messages: many(5000) }), 400, { param: "messages", code: "array_above_max_length" });
		assert.equal((await post({ ...good(), messages: many(2001) })).status, 200);
	});
});

describe("when it goes wrong", () => {
	test("a model that cannot answer is an error, not words for the customer", async () => {
		upstream.otherwise = serverError(500);
		const res = await post({ model: robin._id, messages: [{ role: "user", content: "Hello there" }] });
		assertFailure(res, 502, { type: "server_error", code: null });
		assertFailure(await post({ model: robin._id, stream: true, messages: [{ role: "user", content: "Hello there" }] }), 502, { type: "server_error" });
		upstream.otherwise = {};
		upstream.next(serverError(500), serverError(500), serverError(500), serverError(500));
		assert.equal((await ask({}, { openai: clientOf(ada, { maxRetries: 2 }) })).choices[0].finish_reason, "stop", "the client tries again by itself");
	});

	test("one that breaks off in the middle ends the stream with an error event", async () => {
		upstream.otherwise = reply("one two three four five six seven eight nine ten", { end: 12 });
		const [golden] = vectors.scenarios.filter((s) => s.name === "stream: error event in the middle").map((s) => s.result.error);
		const seen = [];
		const failed = await (async () => {
			for await (const chunk of await ask({ stream: true }))
				seen.push(chunk);
		})().catch((e) => e);
		assert.deepEqual([failed.constructor.name, failed.type, failed.code, failed.param], [golden.class, golden.type, golden.code, golden.param]);
		assert.ok(seen.length > 1);
	});

	test("a caller who goes away stops the model", async () => {
		for (const stream of [true, false]) {
			upstream.reset();
			upstream.next(reply("word ".repeat(500), { tokenDelay: 50 }));
			const gone = new AbortController();
			const asked = ada.openai.chat.completions.create({ model: robin._id, stream, messages: [{ role: "user", content: "Tell me everything" }] }, { signal: gone.signal });
			asked.catch(() => {});
			await upstream.arrived(1);
			if (stream)
				for await (const chunk of await asked)
					if (chunk.choices[0].delta.content)
						break;
			gone.abort();
			await waitFor("the model's server sees it", () => upstream.last.aborted);
		}
	});
});

describe("limits", () => {
	let limited, eve;

	before(async () => {
		limited = await startStack({ upstream, env: { ...DESK_ENV, RATE_LIMITS: "on", RATE_LIMIT_KEY: "8", PUBLIC_SPEND_LIMIT: "100tokens", MAX_WAITING_TURNS: "1" } });
		eve = await withKey(limited, "Eve Ensler");
		eve.another = { stack: limited, key: await makeKey(eve) };
		eve.another.openai = clientOf(eve.another);
	});
	after(() => limited?.stop());

	test("by key: 429 with when to come again; other keys go on", async () => {
		const body = { model: "none", messages: [{ role: "user", content: "Hello" }] };
		const send = (key) => limited.post("/v1/chat/completions", body, { authorization: `Bearer ${key}` });
		const seen = [];
		for (let i = 0; i < 6; i++)
			seen.push(await send(eve.key));
		const refused = seen.filter((res) => res.status === 429);
		assert.ok(refused.length >= 2 && seen[0].status === 404, seen.map((res) => res.status).join());
		assertFailure(refused[0], 429, { type: "requests", code: "rate_limit_exceeded", param: null });
		assert.ok(Number(refused[0].headers["retry-after"]) >= 1 && Number(refused[0].headers["retry-after-ms"]) >= 1);
		assert.equal((await send(eve.another.key)).status, 404);
		assert.equal((await limited.get("/v1/models", { authorization: `Bearer ${eve.key}` })).status, 200, "what costs nothing is not counted");
	});

	test("by what a program works on at once: 503, and the client comes again", async () => {
		const agent = await eve.agent();
		const third = { stack: limited, key: await makeKey(eve) };
		const one = (options) => clientOf(third, options).chat.completions.create({ model: agent._id, messages: [{ role: "user", content: "I want a person" }] });
		const slow = upstream.next(reply("word ".repeat(5), { firstDelay: 1000 })) && clientOf(third).chat.completions.create({ model: agent._id, messages: [{ role: "user", content: "Hello" }] });
		await upstream.arrived(1);
		await assert.rejects(one(), (e) => e.status === 503 && e.type === "server_error" && Number(e.headers["retry-after"]) >= 1);
		assert.equal((await one({ maxRetries: 5 })).choices[0].finish_reason, "stop");
		await slow;
		await (await limited.redis()).call("EVAL", "for _, k in ipairs(redis.call('KEYS', 'spend:*')) do redis.call('DEL', k) end", "0");
	});

	test("of a day's spend: 429 insufficient_quota, and no client asks again before the next day", async () => {
		const [golden] = vectors.scenarios.filter((s) => s.name === "error 429 insufficient_quota").map((s) => s.result.error);
		const agent = await eve.agent();
		const one = (options) => clientOf(eve.another, options).chat.completions.create({ model: agent._id, messages: [{ role: "user", content: "Hello" }] });
		await one();
		const before = upstream.chats.length;
		const failed = await one({ maxRetries: 2 }).catch((e) => e);
		assert.deepEqual([failed.constructor.name, failed.code, failed.type, failed.param], [golden.class, golden.code, golden.type, golden.param]);
		assert.ok(Number(failed.headers["retry-after"]) <= 86400);
		assert.equal(failed.headers["x-should-retry"], "false");
		assert.equal(upstream.chats.length, before);
	});
});

describe("without a model", () => {
	let offline, eve;

	before(async () => {
		offline = await startStack({ env: DESK_ENV });
		eve = await withKey(offline, "Eve Ensler");
	});
	after(() => offline?.stop());

	test("the offline responder answers, whole and streamed, and says what it is", async () => {
		const agent = await eve.agent();
		const messages = [{ role: "user", content: "How long does delivery take?" }];
		const whole = await eve.openai.chat.completions.create({ model: agent._id, messages });
		assert.equal(whole.x_helpline.provider, "offline");
		assert.match(whole.choices[0].message.content, /^From "/);
		assert.deepEqual(whole.usage, { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
		let text = "";
		for await (const chunk of await eve.openai.chat.completions.create({ model: agent._id, messages, stream: true }))
			text += chunk.choices[0].delta.content ?? "";
		assert.equal(text, whole.choices[0].message.content);
		const first = await eve.openai.chat.completions.create({ model: agent._id, messages: [{ role: "system", content: "Greet them." }] });
		assert.equal(first.choices[0].message.content, "Hello! I'm Robin from Acme Garden Tools. How can I help you today?");
	});

	test("./run keys without an owner is the first administrator's", async () => {
		const child = spawn(run, ["users", "add", "--admin", "--email", "root@example.com", "--name", "Root", "--state-dir", offline.dir], { env: environment(offline.env), cwd: root, stdio: ["ignore", "ignore", "inherit"] });
		assert.equal(await new Promise((resolve) => { child.on("close", resolve); }), 0);
		const out = await keysOf(offline, ["add", "--name", "worker"]);
		assert.equal(out.status, 0, out.stderr);
		assert.match(out.stderr, /root@example\.com/);
		assert.deepEqual((await clientOf({ stack: offline, key: out.stdout.trim() }).models.list()).data, []);
	});
});
