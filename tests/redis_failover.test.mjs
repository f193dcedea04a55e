// Sentinel: the master is killed under traffic. What was acknowledged is in the new master, once; the traffic goes on.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor, freePort, pause, unique, Redis } from "./harness.mjs";

const SENTINELS = 3;
const servers = new Map();
let dir, upstream, stack, sentinels;

// redis-tools has the server too, as redis-check-rdb; it goes by what it is called with.
function start(name, args) {
	const child = spawn("redis-check-rdb", args, { argv0: "redis-server", cwd: path.join(dir, name), stdio: "ignore" });
	servers.set(name, child);
	return child;
}

function startServer(name, port, master) {
	mkdirSync(path.join(dir, name), { recursive: true });
	start(name, ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--repl-diskless-sync-delay", "0", "--repl-timeout", "5", ...(master ? ["--replicaof", "127.0.0.1", String(master)] : [])]);
}

function startSentinel(name, port, master) {
	mkdirSync(path.join(dir, name));
	writeFileSync(path.join(dir, name, "sentinel.conf"), `port ${port}\nbind 127.0.0.1\n`
		+ `sentinel monitor desk 127.0.0.1 ${master} 2\nsentinel down-after-milliseconds desk 500\n`
		+ "sentinel failover-timeout desk 4000\nsentinel parallel-syncs desk 2\n");
	start(name, ["sentinel.conf", "--sentinel"]);
}

// A command to a server at a port; undefined while it cannot be reached.
async function ask(port, ...args) {
	let redis;
	try {
		redis = await Redis.open({ port, host: "127.0.0.1" });
		return await redis.call(...args);
	} catch {
		return undefined;
	} finally {
		redis?.close();
	}
}

const masterPort = async (sentinel) => Number((await ask(sentinel, "SENTINEL", "get-master-addr-by-name", "desk"))?.[1]);
const role = async (port) => (await ask(port, "ROLE"))?.[0]?.toString();
const copies = async (port) => (await ask(port, "ROLE"))?.[2]?.length ?? 0;

const ports = {};
const OUTAGE_LEAST_MS = 100;	// a sentinel's last answer from the dead one may be nearly as old as it waits

before(async () => {
	dir = mkdtempSync(path.join(process.env.HELPLINE_TEST_TMP ?? tmpdir(), "helpline-failover-"));
	for (const name of ["one", "two", "three"])
		ports[name] = await freePort();
	startServer("one", ports.one);
	startServer("two", ports.two, ports.one);
	startServer("three", ports.three, ports.one);
	await waitFor("two replicas follow", async () => await copies(ports.one) === 2, { ms: 60_000 });
	// Only now: a sentinel asks the master for its replicas once at its start, and then every ten seconds.
	sentinels = [];
	for (let i = 0; i < SENTINELS; i++) {
		sentinels.push(await freePort());
		startSentinel(`sentinel${i}`, sentinels[i], ports.one);
	}
	upstream = await startUpstream();
	upstream.otherwise = (request) => reply(`You said: ${request.body.messages.at(-1).content}`);
	await waitFor("the sentinels know each other and the replicas", async () => {
		const lists = await Promise.all(sentinels.map(async (port) => [
			await ask(port, "SENTINEL", "sentinels", "desk"), await ask(port, "SENTINEL", "replicas", "desk")]));
		return lists.every(([others, replicas]) => others?.length === SENTINELS - 1 && replicas?.length === 2);
	}, { ms: 60_000 });
	stack = await startStack({ upstream, env: {
		// The first is nobody: it is passed over.
		REDIS_SENTINELS: ["127.0.0.1:1", ...sentinels.map((p) => `127.0.0.1:${p}`)].join(","), REDIS_MASTER: "desk",
	} });
});

after(async () => {
	await stack?.stop();
	await upstream?.close();
	for (const child of servers.values())
		child.kill("SIGKILL");
	rmSync(dir, { recursive: true, force: true });
});

// One customer who writes until told to stop, and asks again with the same id until the answer is there.
async function chat(n, ledger, state) {
	const userId = `customer-${n}`;
	const id = await waitFor("a session", async () => {
		const res = await stack.post("/api/v1/chat/session", { userId });
		return res.status === 200 && res.json.sessionId;
	}, { ms: 60_000 });
	for (let i = 0; !state.stop; i++) {
		const message = { sessionId: id, userId, message: `message ${n}.${i}`, clientMessageId: unique() };
		const late = Date.now() + 60_000;
		for (;;) {
			const res = await stack.post("/api/v1/chat/message", message);
			if (res.status === 200) {
				ledger.push({ id, text: message.message, answer: res.json.response, at: Date.now() });
				break;
			}
			assertProblem(res, [502, 503, 504]);
			if (res.status === 503)
				assert.ok(Number(res.headers["retry-after"]) > 0, "503 says when to come back");
			state.refused++;
			assert.ok(Date.now() < late, `still refused: ${res.text}`);
			await pause(50);
		}
	}
	return id;
}

test("the master is killed under traffic: nothing acknowledged is lost or doubled, and it goes on", { timeout: 200_000 }, async () => {
	const ledger = [], state = { stop: false, refused: 0 };
	const listener = await stack.client();
	const heard = await listener.join();
	const customers = Array.from({ length: 12 }, (_, n) => chat(n, ledger, state));
	await waitFor("traffic", () => ledger.length >= 60);
	const killed = Date.now();
	servers.get("one").kill("SIGKILL");
	const elected = await waitFor("another master", async () => {
		const port = await masterPort(sentinels[0]);
		return port !== ports.one && await role(port) === "master" && port;
	}, { ms: 60_000 });
	await waitFor("messages are acknowledged again", () => ledger.some((entry) => entry.at > killed + 500), { ms: 60_000 });
	const outage = Math.min(...ledger.filter((entry) => entry.at > killed + 500).map((entry) => entry.at)) - killed;
	const before = ledger.length;
	await waitFor("traffic goes on", () => ledger.length >= before + 60, { ms: 60_000 });
	state.stop = true;
	const sessions = await Promise.all(customers);

	assert.equal(await masterPort(sentinels[1]), elected);
	let lost = 0, doubled = 0;
	for (const id of sessions) {
		const stored = await stack.history(id);
		for (const entry of ledger.filter((e) => e.id === id)) {
			const times = stored.filter((m) => m.role === "user" && m.content === entry.text).length;
			lost += times === 0;
			doubled += times > 1;
		}
		const answers = stored.filter((m) => m.role === "assistant").map((m) => m.content);
		doubled += answers.length - new Set(answers).size;
		assert.equal(answers.length, stored.length / 2, "one answer to each message");
	}
	assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
	// Who asked in the outage was refused, or waited for its end.
	const times = ledger.map((entry) => entry.at).sort((a, b) => a - b);
	const silence = Math.max(...times.slice(1).map((at, i) => at > killed ? at - times[i] : 0));
	assert.ok(silence >= OUTAGE_LEAST_MS, `acknowledgements stopped for ${silence} ms at most: nothing was tested`);
	process.stdout.write(`# outage ${outage} ms, ${ledger.length} acknowledged, ${state.refused} refusals\n`);

	// The subscriptions have moved too.
	const answer = await stack.say(heard, "are you still there");
	const got = await listener.when("message-received", (m) => m.isBot && m.seq === answer.seq);
	assert.equal(got.message, answer.response);
});

test("without a replica nothing is acknowledged; the client's next try is the same message", { timeout: 120_000 }, async () => {
	const id = await stack.session();
	const signedUp = await stack.post("/api/auth/register", { name: "Ada", email: `${unique()}@example.com`, password: "Secret-passw0rd" });
	const refresh = () => stack.post("/api/auth/refresh", { refreshToken: signedUp.json.refreshToken });
	const master = await masterPort(sentinels[0]);
	const other = ["two", "three"].find((name) => ports[name] !== master);
	servers.get(other).kill("SIGKILL");
	await waitFor("the replica is gone", async () => await copies(master) === 0);
	const message = { clientMessageId: unique() };
	const refused = await stack.message(id, "is anybody copying this", message);
	assertProblem(refused, 503, /replica/i);
	assert.ok(Number(refused.headers["retry-after"]) > 0);
	assertProblem(await refresh(), 503, /replica/i);
	await waitFor("/health says so", async () => {
		const health = await stack.get("/health");
		return health.status === 503 && /replica/i.test(health.json.error);
	});
	startServer(other, ports[other], master);
	await waitFor("the replica follows again", async () => await copies(master) === 1, { ms: 60_000 });
	const answer = await waitFor("it is answered", async () => {
		const res = await stack.message(id, "is anybody copying this", message);
		return res.status === 200 && res.json;
	}, { ms: 60_000 });
	assert.equal(answer.response, "You said: is anybody copying this");
	const stored = await stack.history(id);
	assert.deepEqual(stored.map((m) => m.role), ["user", "assistant"]);
	assert.equal((await refresh()).status, 200, "a token that was exchanged for nothing is good");
	assertProblem(await refresh(), 401);
});
