// The faults, each by its name: what is done while customers chat, on a stack of its own.

import assert from "node:assert/strict";
import { pause, waitFor } from "../harness.mjs";
import { html, rateLimited, reply, serverError } from "../upstream.mjs";
import { TOKEN } from "./clients.mjs";
import { killNow, limitFiles, ready, redisCuts } from "./stack.mjs";

// ---- what the model does ----

// Names the last message that it was asked, with the pauses of a model.
const good = (random) => (request) => {
	const asked = request.body?.messages?.filter((m) => m.role === "user").flatMap((m) => JSON.stringify(m.content).match(TOKEN) ?? []);
	return reply(`About ${asked?.at(-1)}: it is on its way to you and will arrive soon.`,
		{ delay: random() * 600, tokenDelay: random() * 30 });
};

const bad = {
	"429 with Retry-After": () => rateLimited({ seconds: 1 }),
	"500": () => serverError(),
	"an HTML page": () => html(),
	"silence at once": () => ({ stall: "accept" }),
	"silence after some words": () => ({ stall: 4 }),
	"a cut before the answer": () => ({ cut: "headers" }),
	"a cut after some words": () => ({ cut: 3 }),
	"an end without a finish": () => ({ end: 3 }),
	"garbage": () => ({ garbage: { after: 2, text: "data: {broken" } }),
};

// A share of the requests goes wrong, in one of these ways.
const moody = (random, share, ways = Object.keys(bad)) => (request) => {
	const answer = good(random)(request);
	return random() < share ? { ...answer, ...bad[ways[Math.floor(random() * ways.length)]]() } : answer;
};

// ---- what is done to the programs ----

const ENGINES = ["chat", "events", "redis"];	// what a turn dies with

// Kills until the count or the time is up. all: { name: weight }. Each death waits until that program lives again.
async function killing({ stack, random, until, every, deaths, tell }, all) {
	const bag = Object.entries(all).flatMap(([name, weight]) => Array(weight).fill(name));
	const killed = Object.fromEntries(Object.keys(all).map((name) => [name, 0]));
	let n = 0;
	while (!until(n)) {
		const name = bag[Math.floor(random() * bag.length)];
		if (await killNow(stack, name, random)) {
			n++;
			killed[name]++;
			if (ENGINES.includes(name))
				deaths.push(Date.now());
		}
		await pause(random() * 2 * every);
	}
	await ready(stack);
	tell(`killed: ${Object.entries(killed).map(([name, times]) => `${name} ${times}`).join(", ")}`);
	return n;
}

const killed = (all) => ({ run: (run) => killing(run, all) });

// Redis dies as in a power failure: the file ends where it was durable.
const powerFailure = (fsync) => ({
	fsync,
	mayLose: fsync !== "always",
	upstream: fsync === "always" ? undefined : (random) => good(random),
	async run(run) {
		run.stack.cutRedis();
		const n = await killing(run, { redis: 1 });
		const cuts = redisCuts(run.stack);
		run.tell(`appendfsync ${fsync}: ${cuts.filter((n) => n > 0).length} of ${cuts.length} deaths cut ` +
			`${cuts.reduce((a, b) => a + b, 0)} bytes that were not on the disk`);
		// Few deaths may all come before anything was made durable, and then nothing is known to cut by.
		return n < 20 ? n : Math.min(n, cuts.length);
	},
});

async function upstreamFails({ upstream, random, until, tell }) {
	let n = 0;
	for (; !until(n); n++) {
		await pause(1000 + random() * 1500);
		await upstream.refuse();
		await pause(random() * 1500);
		await upstream.listen();
	}
	tell(`${upstream.count} requests of the model, ${Math.round(upstream.share * 100)} % failed in one of ${Object.keys(bad).length} ways, ` +
		`and ${n} times all were refused`);
	return n;
}

// Minutes back and forth, for each alone: the leases must follow the server's clock.
async function clockSteps({ stack, random, until, tell, deaths }) {
	let steps = 0;
	for (; !until(steps); steps++) {
		const control = stack.controls[random() < 0.5 ? "redis" : "programs"];
		control.clock((random() - 0.5) * 240);
		deaths.push(Date.now());
		await pause(500 + random() * 2000);
	}
	for (const control of Object.values(stack.controls))
		control.clock(0);
	deaths.push(Date.now());
	tell(`${steps} steps of up to two minutes, of the store's clock or the programs'`);
	return steps;
}

const diskFull = (fsync) => ({
	fsync,
	async run({ stack, random, until, tell, deaths }) {
		let times = 0;
		for (; !until(times); times++) {
			await pause(1000 + random() * 1000);
			stack.controls.redis.diskFull(true);
			await waitFor("a message is refused while the disk is full", async () => {
				const res = await stack.post("/api/v1/chat/session", { userId: "full" }).catch(() => ({}));
				return res.status === 503;
			}, { ms: 15_000 });
			await pause(random() * 1500);
			stack.controls.redis.diskFull(false);
			await waitFor("a session is made again", async () => {
				const res = await stack.post("/api/v1/chat/session", { userId: "full" }).catch(() => ({}));
				return res.status === 200;
			}, { ms: 30_000 });
			deaths.push(Date.now());
		}
		tell(`the disk was full ${times} times with appendfsync ${fsync}; each time 503, and healed by itself`);
		return times;
	},
});

// No descriptor more than are open: what is accepted must go on, what is new is refused or waits.
async function fewFiles({ stack, random, until, tell, deaths }) {
	const statuses = {};
	let times = 0;
	for (; !until(times); times++) {
		for (const name of ["chat", "pushd", "events"])
			await limitFiles(stack, name, Math.floor(random() * 3));
		// So many at once that there are not enough connections to chat for them.
		const calls = Array.from({ length: 100 }, () => stack.post("/api/v1/chat/session", { userId: "files" }));
		await pause(1000 + random() * 1500);
		for (const name of ["chat", "pushd", "events"])
			await limitFiles(stack, name, null);
		for (const res of await Promise.all(calls)) {
			assert.ok(res.status === 200 || (res.status > 500 && res.json?.error), `a problem in words, not ${res.status} ${res.text}`);
			statuses[res.status] = (statuses[res.status] ?? 0) + 1;
		}
		deaths.push(Date.now());
		await ready(stack);
	}
	tell(`${times} times no file could be opened by chat, pushd and events; 100 new sessions each time: ` +
		Object.entries(statuses).map(([status, n]) => `${n} got ${status}`).join(", "));
	return times;
}

async function drops({ field, random, until, tell }) {
	let dropped = 0;
	while (!until(dropped)) {
		const client = field.sockets[Math.floor(random() * field.sockets.length)];
		if (client?.socket.connected) {
			client.drop();
			dropped++;
		}
		await pause(random() * 30);
	}
	tell(`${dropped} transports closed`);
	return dropped;
}

// kills: how many are the full run's; every: ms between two, on average.
export const scenarios = {
	programs: { kills: 1000, every: 500, ...killed({ chat: 2, events: 2, health: 1, pushd: 2, "nginx worker": 2, redis: 1 }) },
	power: { kills: 50, every: 800, ...powerFailure("always") },
	"power-everysec": { kills: 20, every: 1500, ...powerFailure("everysec") },
	upstream: { kills: 20, every: 0, upstream: moody, run: upstreamFails },
	clock: { kills: 40, every: 0, shimmed: true, timed: false, run: clockSteps },
	disk: { kills: 8, every: 0, ...diskFull("always") },
	"disk-everysec": { kills: 8, every: 0, ...diskFull("everysec") },
	files: { kills: 10, every: 0, run: fewFiles },
	drops: { kills: 1000, every: 0, only: "sockets", run: drops },
};

export const UPSTREAM_SHARE = 0.3;
export { good };
