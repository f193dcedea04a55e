// Any program may die at any moment: another takes its place, callers hardly notice, no message is lost or doubled.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor, unique } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { TURN_TIMEOUT: "10000" } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => {
	upstream.reset();
	upstream.otherwise = reply("Here I am.");
});

for (const name of ["auth", "chat", "desk", "events", "health", "pushd", "nginx", "redis"])
	test(`${name} is started again, and all is well`, async () => {
		const now = await stack.kill(name);
		assert.ok(now.restarts >= 1);
		await waitFor("/ready is 200", async () => (await stack.get("/ready").catch(() => ({}))).status === 200);
		const client = await stack.client();
		const id = await client.join();
		await client.ask("send-message", { sessionId: id, message: "are you there", userId: "visitor-1" });
		assert.equal((await client.when("message-received", (m) => m.isBot)).message, "Here I am.");
		assert.equal((await stack.say(await stack.session(), "and you")).response, "Here I am.");
	});

test("no call fails while chat is killed again and again", async () => {
	let stop = false;
	const failed = [];
	let served = 0;
	const callers = Array.from({ length: 8 }, async (_, i) => {
		while (!stop) {
			const res = await stack.post("/api/v1/chat/session", { userId: `u${i}` }).catch((error) => ({ status: error.code }));
			if (res.status === 200)
				served++;
			else
				failed.push(res.status);
		}
	});
	for (let i = 0; i < 4; i++)
		await stack.kill("chat");
	stop = true;
	await Promise.all(callers);
	assert.ok(served > 50);
	assert.deepEqual(failed, []);
});

// nginx learns that all of them are dead in one turn of its loop, in which it tries the request again already.
for (const [name, target] of [["auth", "/api/auth/me"], ["chat", "/api/v1/chat/history/none"], ["desk", "/api/agents/none"], ["health", "/health"]])
	test(`a request whose ${name} is killed passes by all the kept connections that died with it`, async () => {
		const expected = (await stack.get(target)).status;
		assert.ok(expected < 500, String(expected));
		const master = (await stack.program("nginx")).pid;
		const workers = readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ").map(Number);
		const { pid } = await stack.program(name);
		const handedOn = (count) => {
			const asked = Array.from({ length: count }, () => stack.get(target));
			return stack.get("/nobody-is-asked-for-this").then(() => stack.get("/nobody-is-asked-for-this")).then(() => ({ asked }));
		};

		process.kill(pid, "SIGSTOP");
		const many = (await handedOn(40)).asked;
		process.kill(pid, "SIGCONT");
		assert.deepEqual((await Promise.all(many)).map((r) => r.status).filter((s) => s !== expected), []);
		process.kill(pid, "SIGSTOP");
		const [one] = (await handedOn(1)).asked;
		const tellWorkers = (signal) => workers.forEach((worker) => process.kill(worker, signal));
		tellWorkers("SIGSTOP");
		try {
			process.kill(pid, "SIGKILL");
			await waitFor(`${name} is started again`, async () => (await stack.program(name)).pid !== pid);
		} finally {
			tellWorkers("SIGCONT");
		}
		assert.equal((await one).status, expected);
	});

test("a message whose program is killed is answered once, for a client that asks again with its id", async () => {
	upstream.otherwise = reply("Once only.", { delay: 1000 });
	const id = await stack.session();
	const clientMessageId = unique();
	const first = stack.message(id, "survive", { clientMessageId }).catch(() => null);
	await upstream.arrived(1);
	await stack.kill("chat");
	await first;
	const answer = await waitFor("an answer", async () => {
		const res = await stack.message(id, "survive", { clientMessageId }).catch(() => null);
		return res?.status === 200 && res.json;
	}, { ms: 60_000, every: 200 });
	assert.equal(answer.response, "Once only.");
	assert.deepEqual((await stack.history(id)).map((m) => [m.role, m.content]), [["user", "survive"], ["assistant", "Once only."]]);
});

// nginx asks the next chat with the same request id: the message is known to it, and its answer is waited for.
test("a message whose program is killed is stored and answered once, for a client that knows nothing of it", async () => {
	upstream.otherwise = reply("Once only.", { delay: 1000 });
	const id = await stack.session();
	const answer = stack.message(id, "survive without an id");
	await upstream.arrived(1);
	await stack.kill("chat");
	const res = await answer;
	assert.equal(res.status, 200, res.text);
	assert.equal(res.json.response, "Once only.");
	assert.deepEqual((await stack.history(id)).map((m) => [m.role, m.content]),
		[["user", "survive without an id"], ["assistant", "Once only."]]);
});

test("a client whose pushd is killed comes back by itself and misses nothing", async () => {
	const client = await stack.client({ reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 });
	const id = await client.join();
	const first = await stack.say(id, "before");
	await client.when("message-received", (m) => m.seq === first.seq);
	await stack.kill("pushd");
	await client.when("disconnect");
	await waitFor("connected again", () => client.socket.connected);
	const missed = await stack.say(id, "in between");
	const ack = await client.ask("join-chat", { userId: "visitor-1", sessionId: id, seq: first.seq });
	assert.equal(ack.ok, true);
	const joined = await client.when("chat-joined", (j) => j.history?.length > 0);
	assert.equal(joined.history.at(-1).seq, missed.seq);
	const after = await stack.say(id, "after");
	await client.when("message-received", (m) => m.seq === after.seq);
});

test("a stopped events program holds events, it does not lose them", async () => {
	const client = await stack.client({ transports: ["websocket"] });
	const id = await client.join();
	const { pid } = await stack.program("events");
	process.kill(pid, "SIGKILL");
	const ack = await client.ask("send-message", { sessionId: id, message: "right now", userId: "visitor-1" });
	assert.equal(ack.ok, true, JSON.stringify(ack));
	assert.equal((await client.when("message-received", (m) => m.isBot)).message, "Here I am.");
	assert.equal((await stack.history(id)).filter((m) => m.role === "user").length, 1);
});
