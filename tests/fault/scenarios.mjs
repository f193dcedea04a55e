// The faults, each by its name: what is done while customers chat, on a stack of its own.

import assert from "node:assert/strict";
import { pause, runScript, waitFor } from "../harness.mjs";
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

// The same, slowly: there is time for a person to come in between.
const slow = (random) => (request) => ({ ...good(random)(request), delay: random() * 1500, tokenDelay: random() * 60 });

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

// How often the programs have logged that.
const logged = (stack, event) => stack.log().split(` event=${event} `).length - 1 + stack.log().split(` event=${event}\n`).length - 1;

async function upstreamFails({ stack, upstream, random, until, tell }) {
	let n = 0;
	for (; !until(n); n++) {
		await pause(1000 + random() * 1500);
		await upstream.refuse();
		await pause(random() * 1500);
		await upstream.listen();
	}
	tell(`${upstream.count} requests of the model, ${Math.round(upstream.share * 100)} % failed in one of ${Object.keys(bad).length} ways, ` +
		`and ${n} times all were refused; ${logged(stack, "provider_left_alone")} times it was left alone for a while, ` +
		`and ${logged(stack, "provider_back")} times it was back`);
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
	tell(`${steps} steps of up to two minutes, of the store's clock or the programs'; ` +
		`${logged(stack, "turn_taken_over")} turns were taken over, ${logged(stack, "renew")} renewals of leases failed`);
	return steps;
}

const diskFull = (fsync) => ({
	fsync,
	async run({ stack, random, until, tell, deaths }) {
		const refusing = [], healing = [];
		const status = async () => (await stack.post("/api/v1/chat/session", { userId: "full" }).catch(() => ({}))).status;
		while (!until(healing.length)) {
			await pause(1000 + random() * 1000);
			stack.controls.redis.diskFull(true);
			const full = Date.now();
			await waitFor("a message is refused while the disk is full", async () => await status() === 503, { ms: 15_000 });
			refusing.push(Date.now() - full);
			await pause(random() * 1500);
			stack.controls.redis.diskFull(false);
			const free = Date.now();
			await waitFor("a session is made again", async () => await status() === 200, { ms: 30_000 });
			healing.push(Date.now() - free);
			deaths.push(Date.now());
		}
		tell(`the disk was full ${healing.length} times with appendfsync ${fsync}: each time 503, after ${Math.max(...refusing)} ms at the latest; ` +
			`healed by itself within ${Math.max(...healing)} ms`);
		return healing.length;
	},
});

/*
 * No descriptor more than are open: what is accepted must go on, what is new is refused or waits. A call that finds no
 * connection to chat waits for one in the kernel; a turn that finds none to the model is handed to a person.
 */
async function fewFiles(run) {
	const { stack, random, until, tell, deaths } = run;
	const statuses = {}, programs = ["chat", "pushd", "events"];
	let times = 0, waited = 0, refused = 0;
	const ask = async (session, i) => {
		const began = Date.now();
		const body = { sessionId: session.sessionId, userId: "files", message: `Where is parcel ${i}?` };
		const res = await stack.post("/api/v1/chat/message", body);
		waited = Math.max(waited, Date.now() - began);
		assert.ok(res.status === 200 || (res.status >= 500 && res.json?.error), `a problem in words, not ${res.status} ${res.text}`);
		statuses[res.status] = (statuses[res.status] ?? 0) + 1;
		refused += res.status !== 200 || res.json.escalation?.reason === "ai_unavailable" ? 1 : 0;
	};
	for (; !until(times); times++) {
		// So many at once that nginx keeps more connections to chat open than chat does to the model.
		const sessions = await Promise.all(Array.from({ length: 100 }, async () =>
			(await stack.post("/api/v1/chat/session", { userId: "files" })).json));
		for (const name of programs)
			await limitFiles(stack, name, Math.floor(random() * 3));
		const calls = sessions.map(ask);
		await pause(1000 + random() * 1500);
		for (const name of programs)
			await limitFiles(stack, name, null);
		await Promise.all(calls);
		deaths.push(Date.now());
		await ready(stack);
	}
	tell(`${times} times no file could be opened by ${programs.join(", ")}; 100 messages each time: ` +
		Object.entries(statuses).map(([status, n]) => `${n} got ${status}`).join(", ") +
		`, ${refused} of all were refused or handed to a person, the longest took ${waited} ms`);
	run.rows = [{ name: "refusals seen, for there was no file", value: refused, held: refused > 0 }];
	return times;
}

// People take conversations over while answers to them are on their way, say something or not, and give them back or end them.
async function desk({ stack, field, random, until, tell }) {
	const count = { takes: 0, under: 0, late: 0, replies: 0, returns: 0, closes: 0 };
	const person = async (name) => {
		const { stdout } = await runScript(["token", "--user", name, "--state-dir", stack.dir], { env: stack.env });
		const headers = { authorization: `Bearer ${stdout.trim()}` };
		const call = async (method, path, body) => {
			const res = await stack.call(method, `/api/escalations${path}`, { headers, body });
			assert.ok([200, 201, 409].includes(res.status), `${method} ${path} gave ${res.status} ${res.text}`);
			return res;
		};
		const newest = async (id) => (await call("GET", `/${id}`)).json.messages.at(-1);
		const last = async (id) => (await newest(id)).seq;
		while (!until(count.under)) {
			const open = (await call("GET", "?status=open")).json.filter((e) => field.waits(e.conversationId));
			const e = open[Math.floor(random() * open.length)];
			await pause(random() * 300);
			if (!e || until(count.under))
				continue;
			const taken = Date.now();
			if ((await call("POST", `/${e._id}/take`)).status === 409) {
				count.late++;
				continue;
			}
			count.takes++;
			const { seq: from, role } = await newest(e._id);
			count.under += role === "user" ? 1 : 0;
			for (let replies = Math.floor(random() * 3); replies > 0; replies--, count.replies++) {
				await pause(random() * 500);
				await call("POST", `/${e._id}/reply`, { content: `This is ${name}.` });
			}
			await pause(random() * 1000);
			const to = await last(e._id);
			const how = random() < 0.7 ? "return" : "close";
			assert.equal((await call("POST", `/${e._id}/${how}`, {})).status, 200);
			count[`${how}s`]++;
			field.ledger.report("spell", { session: e.conversationId, taken, from, to, until: await last(e._id) });
		}
	};
	await Promise.all(Array.from({ length: 12 }, (_, i) => person(`person-${i}`)));
	tell(`12 people took ${count.takes} conversations over, ${count.under} of them while an answer was under way (${count.late} times another was faster), wrote ${count.replies} replies, ` +
		`returned ${count.returns} and closed ${count.closes}; ${logged(stack, "turn outcome=handed_over")} answers were dropped under way`);
	return count.under;
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

// kills: how many are the full run's; every: ms between two, on average; thinking: ms at most before a customer goes on.
export const scenarios = {
	programs: { kills: 1000, every: 500, ...killed({ chat: 2, events: 2, health: 1, pushd: 2, "nginx worker": 2, redis: 1 }) },
	power: { kills: 50, every: 800, ...powerFailure("always") },
	"power-everysec": { kills: 20, every: 1500, ...powerFailure("everysec") },
	upstream: { kills: 20, every: 0, upstream: moody, run: upstreamFails },
	clock: { kills: 40, every: 0, shimmed: true, timed: false, run: clockSteps },
	disk: { kills: 8, every: 0, ...diskFull("always") },
	"disk-everysec": { kills: 8, every: 0, ...diskFull("everysec") },
	files: { kills: 10, every: 0, run: fewFiles },
	desk: { kills: 1000, every: 0, upstream: slow, calling: 0.3, thinking: 5000, run: desk },
	drops: { kills: 1000, every: 0, only: "sockets", run: drops },
};

export const UPSTREAM_SHARE = 0.3;
export { good };
