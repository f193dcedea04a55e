// While the subscriptions' connection is looking for the master, more is subscribed to. Sentinels that answer late, or never.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, freePort, pause, waitFor, Redis } from "./harness.mjs";

let dir, server, port, redis, upstream, stack;
const sentinels = [];

// Names the master after a delay; never while it is silent.
class Sentinel {
	asking = new Set();
	silent = false;
	delay = 0;

	constructor() {
		this.server = net.createServer((socket) => {
			this.asking.add(socket);
			socket.on("close", () => this.asking.delete(socket)).on("error", () => {});
			socket.on("data", async () => {
				await pause(this.delay);
				if (!this.silent && !socket.destroyed)
					socket.write(`*2\r\n$9\r\n127.0.0.1\r\n$${String(port).length}\r\n${port}\r\n`);
			});
		});
	}

	listen() {
		return new Promise((resolve) => { this.server.listen(0, "127.0.0.1", () => resolve(this.server.address().port)); });
	}

	close() {
		this.server.close();
		for (const socket of this.asking)
			socket.destroy();
	}
}

before(async () => {
	dir = mkdtempSync(path.join(process.env.HELPLINE_TEST_TMP ?? tmpdir(), "helpline-sentinels-"));
	port = await freePort();
	server = spawn("redis-check-rdb", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"],
		{ argv0: "redis-server", cwd: dir, stdio: "ignore" });
	redis = await waitFor("Redis", () => Redis.open({ port, host: "127.0.0.1" }));
	sentinels.push(new Sentinel(), new Sentinel());
	const ports = await Promise.all(sentinels.map((s) => s.listen()));
	upstream = await startUpstream();
	for (const s of sentinels)
		s.delay = 200;
	stack = await startStack({ upstream, env: { REDIS_SENTINELS: ports.map((p) => `127.0.0.1:${p}`).join(","), REDIS_MASTER: "desk",
		REDIS_REPLICAS: "0" } });
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
	redis?.close();
	for (const s of sentinels)
		s.close();
	server?.kill("SIGKILL");
	rmSync(dir, { recursive: true, force: true });
});

const subscribed = async () => Number((await redis.call("PUBSUB", "NUMSUB", "socket.io-request#/#"))[1]) > 0;

test("no connection to a sentinel is left behind by those who subscribe meanwhile", async () => {
	await waitFor("pushd listens", subscribed);
	const clients = await Promise.all(Array.from({ length: 5 }, () => stack.client()));
	await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
	await Promise.all(clients.map((c) => c.join()));
	await waitFor("nobody asks any more", () => sentinels.every((s) => s.asking.size === 0), { ms: 10_000 });
	for (const c of clients)
		c.close();
});

test("a sentinel that is silent is passed over, however many come to join", async () => {
	const [good, silent] = sentinels;
	silent.silent = true;
	good.delay = 0;
	const clients = await Promise.all(Array.from({ length: 40 }, () => stack.client()));	// each waits for its own
	const real = port;
	port = 1;		// the master is gone for a moment
	await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
	let over = false;
	const joins = (async () => {
		for (let i = 0; !over; i++) {
			clients[i % clients.length].ask("join-chat", { userId: "visitor-1" }).catch(() => {});
			await pause(150);
		}
	})();
	await pause(1000);
	port = real;
	await waitFor("pushd listens again", subscribed, { ms: 15_000 });
	over = true;
	await joins;
	silent.silent = false;
	for (const c of clients)
		c.close();
});

test("who waits for an answer that another program gives is not given the next one", async () => {
	upstream.otherwise = ({ body }) => reply(`Re: ${body.messages.filter((m) => m.role === "user").at(-1).content}`, { delay: 1000 });
	const client = await stack.client();
	const id = await client.join();
	client.emit("send-message", { sessionId: id, message: "one", userId: "visitor-1" });
	await upstream.arrived(1);
	for (const s of sentinels)
		s.silent = true;	// the chat program hears of nothing
	await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
	const two = stack.say(id, "two");
	await waitFor("the answer to two", async () => (await stack.history(id)).some((m) => m.content === "Re: two"), { every: 5 });
	const three = stack.say(id, "three");
	assert.deepEqual([(await two).response, (await three).response], ["Re: two", "Re: three"]);
	for (const s of sentinels)
		s.silent = false;
	client.close();
});

test("who speaks in a session of which he cannot be told yet is told as soon as he can be", async () => {
	upstream.otherwise = ({ body }) => reply(`Re: ${body.messages.filter((m) => m.role === "user").at(-1).content}`);
	const client = await stack.client();
	const sessionId = await stack.session();
	for (const s of sentinels)
		s.silent = true;
	await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
	client.emit("send-message", { sessionId, message: "one", userId: "visitor-1" });
	await waitFor("it is answered", async () => (await stack.history(sessionId)).length === 2);
	for (const s of sentinels)
		s.silent = false;
	await waitFor("pushd listens again", subscribed, { ms: 15_000 });
	await client.when("message-received", (m) => m.message === "Re: one");
	assert.equal((await client.ask("send-message", { sessionId, message: "two", userId: "visitor-1" })).ok, true);
	await client.when("message-received", (m) => m.message === "Re: two");
	client.close();
});
