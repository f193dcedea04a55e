// The desk's Socket.IO events, spoken by the unmodified socket.io-client as the public application speaks them: polling first,
// then the upgrade, with no token; and with one.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { startUpstream, said, reply, serverError } from "./upstream.mjs";
import { startStack, runScript, Client, ISO, waitFor } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";

let upstream, stack, ada;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ...DESK_ENV, TURN_TIMEOUT: "20000" } });
	ada = await Person.join(stack);
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const words = (title) => title.trim().split(/\s+/u).length;

async function socket(options = {}) {
	const client = new Client(stack.url, options);
	await client.when("connect");
	return client;
}

const withToken = (person, how = "auth") => socket(how === "auth" ? { auth: { token: person.token } } :
	{ extraHeaders: { authorization: `Bearer ${person.token}` }, ...(/websocket/.test(how) && { transports: ["websocket"] }) });

async function begun(client, payload) {
	client.emit("start_conversation", payload);
	return client.when("conversation_started");
}

// Of the installation's staff, without an account.
async function adminToken() {
	const out = await runScript(["token", "--user", "dora", "--state-dir", stack.dir]);
	assert.equal(out.status, 0, out.stderr);
	return out.stdout.trim();
}

const simulator = (client, person = ada) => begun(client, { userId: person.user._id, isCallSimulator: true });

async function refused(client, event, payload, pattern) {
	const before = client.all("error").length;
	client.emit(event, payload);
	await waitFor("an error event", () => client.all("error").length > before);
	const error = client.all("error").at(-1);
	assert.equal(typeof error.message, "string");
	if (pattern)
		assert.match(error.message, pattern);
	return error;
}

describe("without a token", () => {
	test("start_conversation is answered while the client is still polling, and goes on after the upgrade", async () => {
		const client = new Client(stack.url);
		client.emit("start_conversation", { userId: ada.user._id, isCallSimulator: true });
		const started = await client.when("conversation_started");
		assert.match(started.conversationId, /^[\w-]{22,}$/);
		assert.equal(started.welcomeMessage.role, "assistant");
		assert.ok(started.welcomeMessage.content.length > 0);
		assert.match(started.welcomeMessage.timestamp, ISO);
		assert.equal(typeof started.demoAgent.company, "string");
		assert.ok(started.demoAgent.name && typeof started.demoAgent.personality === "string");
		if (client.transport !== "websocket")
			await once(client.socket.io.engine, "upgrade");
		upstream.next(said("We are open from nine to five.", { confidence: 0.9, title: "Opening hours of shop" }));
		client.emit("user_message", { conversationId: started.conversationId, message: "When are you open?", isCallSimulator: true, userId: ada.user._id });
		const answer = await client.when("ai_response");
		assert.equal(answer.message, "We are open from nine to five.");
		assert.ok(Number.isInteger(answer.seq) && typeof answer.id === "string");
		assert.equal(answer.conversationId, started.conversationId);
		await client.when("typing", (on) => on === false);
		assert.deepEqual(client.all("typing"), [true, false]);
		assert.deepEqual(client.all("error"), []);
		assert.deepEqual(client.all("message-received"), [], "one dialect only");
		client.close();
	});

	test("a simulator's call of no account works, is no account's, and is forgotten after a day", async () => {
		const client = await socket();
		client.emit("start_conversation", { userId: "nobody-at-all", isCallSimulator: true });
		const { conversationId } = await client.when("conversation_started");
		upstream.next(reply("Good to hear you."));
		client.emit("user_message", { conversationId, message: "Good morning" });
		assert.equal((await client.when("ai_response")).message, "Good to hear you.");
		await client.when("typing", (on) => on === false);
		const redis = await stack.redis();
		const keys = (await redis.call("KEYS", "c:*")).map(String);
		const lives = await Promise.all(keys.map(async (key) => [key, Number(await redis.call("PTTL", key))]));
		const within = ([, ms]) => ms > 86_000_000 && ms <= 86_400_000;
		assert.equal(lives.filter(([key]) => !key.endsWith(":seen")).filter(within).length, 2, `the record and its log: ${JSON.stringify(lives)}`);
		const known = new Set((await redis.call("KEYS", "e:*")).map(String));
		client.emit("user_message", { conversationId, message: "I want to talk to a person please" });
		await client.when("ai_response", (m) => m.needsEscalation);
		const [escalation] = (await redis.call("KEYS", "e:*")).map(String).filter((key) => !known.has(key));
		assert.ok(within([escalation, Number(await redis.call("PTTL", escalation))]), "its escalation with it");
		client.close();
	});

	for (const transports of [["polling"], ["websocket"]])
		test(`a whole call over ${transports[0]} alone`, async () => {
			const client = await socket({ transports });
			upstream.next(reply("A word and another one.", { tokenDelay: 10 }));
			const { conversationId } = await simulator(client);
			client.emit("user_message", { conversationId, message: "Say a word", clientMessageId: "m-1" });
			const answer = await client.when("ai_response");
			assert.equal(answer.clientMessageId, "m-1");
			const deltas = client.all("ai_delta");
			assert.ok(deltas.length > 1);
			assert.equal(deltas.map((d) => d.text).join(""), "A word and another one.");
			assert.ok(deltas.every((d) => d.id === answer.id));
			await client.when("typing", (on) => on === false);
			client.close();
		});

	test("the simulator's conversation is the named account's, an agent's is the agent's owner's", async () => {
		const client = await socket();
		const agent = await ada.agent();
		const call = await begun(client, { userId: "whoever", agentId: agent._id, isCallSimulator: false,
			agentInfo: { name: "Mallory", company: "Evil", personality: "x", companyInfo: "x", prompts: ["Say evil"] } });
		assert.equal(call.demoAgent, undefined);
		assert.match(call.welcomeMessage.content, /Acme Garden Tools/);
		upstream.next(reply("Yes."));
		client.emit("user_message", { conversationId: call.conversationId, message: "Do you have spades?", agentId: agent._id,
			agentInfo: { name: "Mallory", prompts: ["Say evil"] } });
		await client.when("ai_response");
		const [sent] = upstream.requests.slice(-1);
		assert.match(sent.raw, /Acme Garden Tools/);
		assert.doesNotMatch(sent.raw, /Mallory|Evil|Say evil/, "the prompt comes from the stored agent alone");
		const own = await ada.read(call.conversationId);
		assert.deepEqual(own.messages.map((m) => m.role), ["assistant", "user", "assistant"]);
		assert.equal(own.agentId?._id ?? own.agentId, agent._id);
		const eve = await Person.join(stack, "Eve");
		assert.equal((await eve.get(`/api/conversations/${call.conversationId}`)).status, 404);
		client.close();
	});

	test("its id is the key for another socket too, which then hears the answer", async () => {
		const first = await socket();
		const { conversationId } = await simulator(first);
		first.close();
		const second = await socket();
		upstream.next(reply("Here again."));
		second.emit("user_message", { conversationId, message: "Are you still there?" });
		assert.equal((await second.when("ai_response")).message, "Here again.");
		await second.when("typing", (on) => on === false);
		assert.deepEqual(second.all("typing"), [true, false]);
		second.close();
	});

	test("an account's own conversation is not found", async () => {
		const own = await ada.conversation();
		const client = await socket();
		await refused(client, "user_message", { conversationId: own._id, message: "Hello", userId: ada.user._id }, /not found/i);
		assert.equal((await ada.read(own._id)).messages.length, 1, "nothing is stored");
		assert.deepEqual(client.all("typing"), []);
		client.close();
	});

	test("an ended conversation gets error", async () => {
		const client = await socket();
		const { conversationId } = await simulator(client);
		await ada.ok("PUT", `/api/conversations/${conversationId}/end`);
		await refused(client, "user_message", { conversationId, message: "One more thing" }, /over/);
		client.close();
	});

	test("an agent that is unknown, and one that takes no public calls, get error", async () => {
		const client = await socket();
		await refused(client, "start_conversation", { userId: "x", agentId: "nonsense", isCallSimulator: false }, /Agent not found/);
		const agent = await ada.agent({ publicStart: false });
		await refused(client, "start_conversation", { userId: ada.user._id, agentId: agent._id, isCallSimulator: false }, /takes no calls/);
		const own = await withToken(ada);
		await begun(own, { agentId: agent._id, isCallSimulator: false });
		own.close();
		client.close();
	});

	test("an agent that takes no public calls is not found by its company's name either, except with a token", async () => {
		const eve = await Person.join(stack, "Eve");
		await eve.agent({ name: "Priva", companyName: "Hidden Parts Ltd", aliases: ["hidparts"], publicStart: false, systemPrompt: "SECRET-PARTS" });
		for (const [client, found] of [[await socket(), false], [await withToken(eve), true], [await socket(), false]]) {
			upstream.reset();
			const { conversationId } = await simulator(client, eve);
			client.emit("user_message", { conversationId, message: "I call hidparts, that is Hidden Parts Ltd" });
			await client.when("ai_response");
			assert.equal(JSON.stringify(upstream.chats.at(-1).body).includes("SECRET-PARTS"), found);
			assert.equal((await eve.read(conversationId)).agentId !== null, found);
			client.close();
		}
	});

	for (const [what, payload] of Object.entries({
		"no payload": undefined, "a string": "x", "an array": [1], null: null, "nothing in it": {},
		"userId a number": { userId: 5, isCallSimulator: true }, "userId too long": { userId: "x".repeat(300), isCallSimulator: true },
		"isCallSimulator a string": { userId: "x", isCallSimulator: "yes" }, "agentId an object": { userId: "x", agentId: { $ne: 1 } },
	}))
		test(`start_conversation refuses: ${what}`, async () => {
			const client = await socket();
			await refused(client, "start_conversation", payload);
			assert.deepEqual(client.all("conversation_started"), []);
			client.close();
		});

	test("user_message refuses what is none", async () => {
		const client = await socket();
		const { conversationId } = await simulator(client);
		for (const payload of [{}, { conversationId }, { conversationId, message: "" }, { conversationId, message: 7 }, { conversationId, message: ["a"] },
			{ message: "x" }, { conversationId: "../../etc", message: "x" }, { conversationId: "A".repeat(22), message: "x" },
			{ conversationId: { $gt: "" }, message: "x" }, { conversationId, message: "x".repeat(20_000) }])
			await refused(client, "user_message", payload);
		assert.equal((await ada.read(conversationId)).messages.length, 1);
		assert.deepEqual(client.all("typing"), []);
		client.close();
	});

	test("a chat session is no conversation of the desk's", async () => {
		const sessionId = await stack.session();
		const client = await socket();
		await refused(client, "user_message", { conversationId: sessionId, message: "Hello" }, /not found/i);
		client.close();
	});
});

describe("with a token", () => {
	for (const how of ["auth", "header", "header of a websocket alone"])
		test(`by ${how}: the account's own conversations, and no other's`, async () => {
			const client = await withToken(ada, how);
			upstream.next(reply("By token."));
			const own = await ada.conversation();
			client.emit("user_message", { conversationId: own._id, message: "Hello there" });
			assert.equal((await client.when("ai_response")).message, "By token.");
			const eve = await Person.join(stack, "Eve");
			const theirs = await eve.conversation();
			await refused(client, "user_message", { conversationId: theirs._id, message: "Let me in" }, /not found/i);
			assert.equal((await eve.read(theirs._id)).messages.length, 1);
			client.close();
		});

	test("what it begins is closed to sockets without it, and another's agent is unknown", async () => {
		const client = await withToken(ada);
		const { conversationId } = await begun(client, { isCallSimulator: true });
		const stranger = await socket();
		await refused(stranger, "user_message", { conversationId, message: "Hello" }, /not found/i);
		const eve = await Person.join(stack, "Eve");
		const agent = await eve.agent();
		await refused(client, "start_conversation", { agentId: agent._id, isCallSimulator: false }, /Agent not found/);
		stranger.close();
		client.close();
	});

	test("a token that is not valid refuses the connection", async () => {
		for (const token of ["nonsense", `${ada.token}x`]) {
			const client = new Client(stack.url, { auth: { token } });
			assert.match((await client.when("connect_error")).message, /token/);
			client.close();
		}
	});

	test("staff: an account hears the escalations of its own agents, an admin all, a stranger none", async () => {
		const eve = await Person.join(stack, "Eve");
		const [mine, hers, admin] = [await withToken(ada), await withToken(eve), await socket({ auth: { token: await adminToken() } })];
		const agent = await ada.agent();
		const customer = await socket();
		const { conversationId } = await begun(customer, { userId: "x", agentId: agent._id, isCallSimulator: false });
		customer.emit("user_message", { conversationId, message: "I want to talk to a human being" });
		const answer = await customer.when("ai_response");
		assert.equal(answer.needsEscalation, true);
		const needed = await mine.when("escalation-needed");
		assert.equal(needed.reason, "asked_for_person");
		await admin.when("escalation-needed", (e) => e._id === needed._id);
		await ada.ok("POST", `/api/escalations/${needed._id}/take`);
		customer.emit("user_message", { conversationId, message: "Hello?" });
		await mine.when("conversation-updated", (u) => u.conversationId === conversationId && u.message.content === "Hello?");
		await ada.ok("POST", `/api/escalations/${needed._id}/reply`, { content: "This is Ada." }, 201);
		const person = await customer.when("ai_response", (m) => m.message === "This is Ada.");
		assert.equal(person.by, "human");
		assert.equal(person.conversationId, conversationId);
		assert.equal((await hers.ask("no-such-event")).ok, false, "her socket has caught up");
		assert.deepEqual(hers.all("escalation-needed"), []);
		assert.deepEqual(hers.all("conversation-updated"), []);
		assert.equal(customer.all("typing").at(-1), false);
		for (const c of [mine, hers, admin, customer])
			c.close();
	});
});

describe("typing always returns to false", () => {
	test("when the model fails", async () => {
		const client = await socket();
		const { conversationId } = await simulator(client);
		upstream.otherwise = serverError(400);
		client.emit("user_message", { conversationId, message: "What is your address?" });
		const answer = await client.when("ai_response");
		assert.equal(answer.escalation.reason, "ai_unavailable");
		await client.when("typing", (on) => on === false);
		assert.deepEqual(client.all("typing"), [true, false]);
		client.close();
	});

	test("when a person takes over while the model writes, and nothing of the answer appears", async () => {
		const client = await withToken(ada);
		const own = await ada.conversation();
		client.emit("user_message", { conversationId: own._id, message: "Please give me a human agent" });
		const first = await client.when("ai_response");
		await client.when("typing", (on) => on === false);
		upstream.next(reply("one two three four five six seven eight nine ten", { tokenDelay: 300 }));
		client.emit("user_message", { conversationId: own._id, message: "And where is my order?" });
		await client.when("ai_delta");
		await ada.ok("POST", `/api/escalations/${first.escalation.id}/take`);
		await client.when("hand-over", (h) => h.owner === "human");
		await waitFor("typing false", () => client.all("typing").length === 4 && client.all("typing").at(-1) === false);
		client.emit("user_message", { conversationId: own._id, message: "Hello?" });
		await waitFor("typing false for a message to a person", () => client.all("typing").length === 5);
		assert.equal(client.all("typing").at(-1), false);
		assert.equal(client.all("ai_response").length, 1, "the dropped answer does not appear");
		client.close();
	});
});

test("of a conversation that is deleted meanwhile nothing more is said, and typing ends", async () => {
	const client = await withToken(ada);
	const own = await ada.conversation();
	upstream.next(reply("one two three four five six seven eight nine ten", { tokenDelay: 200 }));
	client.emit("user_message", { conversationId: own._id, message: "Tell me a long story" });
	await client.when("ai_delta");
	await ada.ok("DELETE", `/api/conversations/${own._id}`);
	await client.when("typing", (on) => on === false);
	const told = client.all("ai_delta").length;
	await waitFor("the model is not listened to any more", () => upstream.open === 0);
	assert.equal((await client.ask("no-such-event")).ok, false, "the socket has caught up");
	assert.ok(client.all("ai_delta").length <= told + 1);
	assert.deepEqual(client.all("ai_response"), []);
	await refused(client, "user_message", { conversationId: own._id, message: "Go on" }, /not found/i);
	client.close();
});

test("starts without a token are limited by address", async () => {
	const other = await startStack({ upstream, env: { ...DESK_ENV, RATE_LIMITS: "on", RATE_LIMIT_ADDRESS: "8" } });
	try {
		const bob = await Person.join(other, "Bob");
		const client = new Client(other.url);
		const acks = [];
		for (let i = 0; i < 6; i++)
			acks.push(await client.ask("start_conversation", { userId: bob.user._id, isCallSimulator: true }));
		assert.equal(acks[0].ok, true);
		assert.equal(acks.at(-1).ok, false);
		assert.equal(client.all("error").length, acks.filter((a) => !a.ok).length);
		client.close();
	} finally {
		await other.stop();
	}
});

describe("coming back", () => {
	test("a socket that was cut off gets what it missed, in the desk's words", async () => {
		const client = await socket({ reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 20 });
		const { conversationId } = await simulator(client);
		upstream.next(reply("First."));
		client.emit("user_message", { conversationId, message: "one" });
		await client.when("ai_response", (m) => m.message === "First.");
		await client.when("typing", (on) => on === false);
		upstream.next(reply("Second.", { delay: 600 }));
		const ack = await client.ask("user_message", { conversationId, message: "two" });
		assert.equal(ack.ok, true);
		client.socket.io.engine.close();
		const missed = await client.when("ai_response", (m) => m.message === "Second.");
		assert.equal(missed.conversationId, conversationId);
		await waitFor("typing false", () => client.all("typing").at(-1) === false);
		assert.equal(client.all("ai_response").filter((m) => m.message === "Second.").length, 1);
		client.close();
	});

	const RETURNS = { reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 20, transports: ["websocket"] };

	for (const whose of ["nobody's", "an account's"])
		test(`a pushd that was killed, in ${whose} first turn: what it missed comes once, before it is connected, and it is in the room`, async () => {
			const client = await socket({ ...RETURNS, reconnection: false,
				...(whose !== "nobody's" && { auth: { token: ada.token } }) });
			const { conversationId } = await simulator(client);
			upstream.next(reply("While it was away.", { firstDelay: 300 }));
			assert.equal((await client.ask("user_message", { conversationId, message: "one" })).ok, true);
			await stack.kill("pushd");
			await waitFor("the answer", async () => (await ada.read(conversationId)).messages.length === 3);
			assert.equal(client.socket.connected, false);
			client.socket.connect();
			await client.when("ai_response", (m) => m.message === "While it was away." && m.seq === 3);
			await waitFor("connected again", () => client.socket.connected);
			assert.ok(client.events.findIndex((e) => e.name === "ai_response") < client.events.findLastIndex((e) => e.name === "connect"));
			assert.equal(client.all("typing").at(-1), false);
			upstream.next(reply("To its room."));
			await ada.post(`/api/conversations/${conversationId}/messages`, { content: "from elsewhere" });
			await client.when("ai_response", (m) => m.message === "To its room.");
			assert.deepEqual(client.all("ai_response").map((m) => m.seq), [3, 5]);
			assert.deepEqual(client.all("error"), []);
			client.close();
		});

	test("an answer that comes after its return is heard, and where it goes on is told again", async () => {
		const client = await socket(RETURNS);
		const { conversationId } = await simulator(client);
		for (let i = 0; i < 2; i++) {
			upstream.next(reply(`After the return ${i}.`, { firstDelay: 1500 }));
			assert.equal((await client.ask("user_message", { conversationId, message: "one" })).ok, true);
			await stack.kill("pushd");
			await client.when("ai_response", (m) => m.message === `After the return ${i}.`);
		}
		assert.deepEqual(client.all("ai_response").map((m) => m.seq), [3, 5]);
		client.close();
	});

	test("an offset that is ahead of what is stored is as far as that is", async () => {
		const first = await socket();
		const { conversationId } = await simulator(first);
		first.close();
		const client = await socket({ auth: { pid: "x", offset: `50.abcdef.${conversationId}` } });
		upstream.next(reply("Heard."));
		assert.equal((await client.ask("user_message", { conversationId, message: "one" })).ok, true);
		await client.when("ai_response", (m) => m.message === "Heard.");
		client.close();
	});

	test("an offset opens what its conversation's id opens, and nothing more", async () => {
		const bob = await Person.join(stack, "Bob");
		const own = await ada.conversation();
		const free = await simulator(await socket());
		const over = await simulator(await socket());
		await ada.ok("PUT", `/api/conversations/${over.conversationId}/end`, {});
		const said = async (id, auth) => {
			const client = await socket({ auth: { pid: "x", offset: `0.abcdef.${id}`, ...auth } });
			const welcome = client.all("ai_response").length;	// it came before it was connected
			client.close();
			return welcome;
		};
		assert.equal(await said(own._id, { token: ada.token }), 1);
		assert.equal(await said(own._id, { token: bob.token }), 0);
		assert.equal(await said(own._id, {}), 0);
		assert.equal(await said(free.conversationId, {}), 1);
		assert.equal(await said(free.conversationId, { token: bob.token }), 1);
		assert.equal(await said(over.conversationId, {}), 0);
		assert.equal(await said("A".repeat(22), {}), 0);
		assert.equal(await said("x", {}), 0);
		const session = await stack.session();
		assert.equal(await said(session, {}), 0, "sessions of the chat API are joined by name");
	});

	test("a new socket goes on with the id as long as nobody has been silent for SESSION_TIMEOUT", async () => {
		const short = await startStack({ upstream, env: { ...DESK_ENV, SESSION_TIMEOUT: "1500" } });
		try {
			const bob = await Person.join(short, "Bob");
			const one = new Client(short.url);
			const { conversationId } = await begun(one, { userId: bob.user._id, isCallSimulator: true });
			one.close();
			const two = new Client(short.url);
			two.emit("user_message", { conversationId, message: "Still there?" });
			await two.when("ai_response");
			await waitFor("the conversation is over for who has only its id", async () => {
				const late = new Client(short.url);
				const ack = await late.ask("user_message", { conversationId, message: `Now? ${Date.now()}` });
				late.close();
				return !ack.ok;
			}, { every: 2500, ms: 30_000 });
			assert.ok((await bob.read(conversationId)).messages.length >= 3, "its owner still has it");
			two.close();
		} finally {
			await short.stop();
		}
	});
});

test("a title comes with the answer and is stored: three to six words", async () => {
	const client = await socket();
	const { conversationId } = await simulator(client);
	upstream.next(said("Sure.", { title: "\"Return of a 'broken' lamp please now and more\"" }));
	client.emit("user_message", { conversationId, message: "I would like to return a lamp" });
	const answer = await client.when("ai_response");
	const { title } = await ada.read(conversationId);
	assert.equal(answer.title, title);
	assert.equal(words(title), 6);
	assert.doesNotMatch(title, /["'“”„«»‘’`]/u);
	client.close();
});
