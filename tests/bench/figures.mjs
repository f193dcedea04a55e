// Each figure that is promised, how it is measured, and its bar.
//
// A group measures on a Helpline of its own and reports rows: { name, value, unit, bar, least | most, reference, ratio, ok,
// detail }. `least` and `most` are what value is held to; `ok` says it where the bar is another one.

import { randomUUID } from "node:crypto";

import {
	BareRedis, NodeService, Stack, Reference, Load, wrk, cpu, pss, rss, pause, median, difference, sum,
} from "./stack.mjs";
import { voice } from "./voice.mjs";

const OURS = ["auth", "chat", "desk", "events", "health", "pushd"];
const ROUNDS = 7;
const STARTS = 5;

const ms = (seconds) => seconds * 1000;
const us = (seconds) => seconds * 1e6;
const round = (numbers, digits = 1) => Object.fromEntries(Object.entries(numbers).map(([k, v]) => [k, Number(v.toFixed(digits))]));
// wrk prints 870.00us, 4.51ms, 1.20s.
const inMs = (text) => Number.parseFloat(text) * { us: 0.001, ms: 1, s: 1000 }[/[a-z]+$/.exec(text)[0]];
const atRate = (n) => `${Math.round(n).toLocaleString("en")}/s`;

async function withStack(bench, use) {
	const stack = await Stack.start(bench.upstream);
	try {
		return await use(stack);
	} finally {
		stack.stop();
	}
}

// The reference, which keeps what it is told in the stack's Redis; undefined where it cannot be had.
async function withNode(bench, stack, use) {
	bench.nodeService ??= NodeService.install();
	if (!bench.nodeService)
		return undefined;
	const node = await NodeService.start(bench.upstream, stack);
	try {
		return await use(node);
	} finally {
		node.stop();
	}
}

const besideNode = (node, tell) => node && `a Node service: ${tell(node)}`;

// Runs wrk and gives its numbers with the processor time of each call.
async function wrkWithCost(url, options, measure) {
	const before = measure();
	const result = await wrk(url, options);
	return { ...result, cost: round(Object.fromEntries(Object.entries(difference(measure(), before))
		.map(([name, spent]) => [name, us(spent) / result.requests])), 2) };
}

// ---- REST --------------------------------------------------------------------------------------------------------------

const NEW_SESSION = `
wrk.method = "POST"
wrk.body = '{"userId":"bench"}'
wrk.headers["Content-Type"] = "application/json"
`;

// The three take turns, so that what else the machine does falls on all of them.
async function rest(bench) {
	await bench.upstream.set();
	const ref = await Reference.start();
	const rounds = await withStack(bench, async (stack) => {
		const list = [];
		for (let i = 0; i < ROUNDS; i++) {
			list.push({
				plain: await wrkWithCost(`${ref.url}/`, {}, () => ({ nginx: cpu(ref.pid) })),
				health: await wrkWithCost(`${stack.url}/health`, {}, () => stack.each(cpu)),
				session: await wrkWithCost(`${stack.url}/api/v1/chat/session`, { script: NEW_SESSION }, () => stack.each(cpu)),
			});
		}
		return list;
	});
	ref.stop();
	const of = (take) => median(rounds.map(take));
	const last = rounds.at(-1);
	const plain = of((r) => r.plain.rate);
	const plainCost = of((r) => r.plain.cost.nginx);
	const failures = (name) => rounds.reduce((n, r) => n + r[name].failed, 0);
	const share = (name) => of((r) => r[name].rate / r.plain.rate);
	return [
		{
			name: "GET /health at 64 connections", value: of((r) => r.health.rate), unit: "/s", reference: `return 200: ${atRate(plain)}`,
			ratio: share("health"), bar: "ratio ≥ 0.40", ok: share("health") >= 0.4 && failures("health") === 0,
			detail: { p99: last.health.p99, failed: failures("health") },
		}, {
			name: "its processor time, all programs", value: of((r) => sum(r.health.cost)), unit: "µs",
			reference: `return 200: ${plainCost.toFixed(1)} µs`, ratio: of((r) => sum(r.health.cost) / r.plain.cost.nginx),
			bar: "ratio ≤ 3", ok: of((r) => sum(r.health.cost) / r.plain.cost.nginx) <= 3, detail: last.health.cost,
		}, {
			name: "POST session at 64 connections", value: of((r) => r.session.rate), unit: "/s",
			reference: `return 200: ${atRate(plain)}`, ratio: share("session"), bar: "≥ 20,000/s or ratio ≥ 0.15",
			ok: failures("session") === 0 && (of((r) => r.session.rate) >= 20_000 || share("session") >= 0.15),
			detail: { p99: last.session.p99, failed: failures("session"), "µs each": last.session.cost },
		},
	];
}

// ---- messages that wait ---------------------------------------------------------------------------------------------------

const WAITING = { users: 4000, delay: 2000, seconds: 6 };

// Everybody begins within one delay and asks again when answered: a steady arrival of users / delay a second. Of service,
// what is called `name` is where they wait.
async function holdCalls(service, name) {
	const load = new Load("rest", service, { users: WAITING.users, ramp: WAITING.delay - 50, seconds: WAITING.seconds });
	await load.event("ready");
	const before = service.each(rss);
	load.go();
	await load.event("full");
	let most = service.each(rss);
	const sampler = setInterval(() => {
		const now = service.each(rss);
		most = now[name] > most[name] ? now : most;
	}, 250);
	const result = await load.event("result").finally(() => clearInterval(sampler));
	return { result, kb: round(Object.fromEntries(Object.entries(difference(most, before)).map(([k, v]) => [k, v / WAITING.users])), 2) };
}

async function waiting(bench) {
	await bench.upstream.set({ delay: WAITING.delay });
	return withStack(bench, async (stack) => {
		const { result, kb } = await holdCalls(stack, "chat");
		const node = await withNode(bench, stack, (service) => holdCalls(service, "node"));
		const arrival = atRate(WAITING.users / WAITING.delay * 1000);
		return [
			{
				name: `${WAITING.users} messages waiting at once: failures`, value: result.errors, unit: "", most: 0,
				reference: besideNode(node, (n) => n.result.errors), ok: result.errors === 0 && result.mostWaiting >= WAITING.users,
				detail: { asked: result.asked, "upstream takes ms": WAITING.delay, mostWaiting: result.mostWaiting, problem: result.problem },
			},
			{ name: "memory of chat for each", value: kb.chat, unit: "KB", most: 40, reference: besideNode(node, (n) => `${n.kb.node} KB`), detail: kb },
			{ name: "added to the upstream's time, p50", value: result.added.p50, unit: "ms", reference: besideNode(node, (n) => `${n.result.added.p50} ms`),
				detail: { arrival } },
			{ name: "added to the upstream's time, p99", value: result.added.p99, unit: "ms", most: 20,
				reference: besideNode(node, (n) => `${n.result.added.p99} ms`), detail: { max: result.added.max } },
		];
	});
}

// ---- rest, in the other sense ----------------------------------------------------------------------------------------------

async function idle(bench) {
	await bench.upstream.set();
	const seconds = [];
	let memory, node;
	for (let i = 0; i < STARTS; i++) {
		await withStack(bench, async (stack) => {
			seconds.push(stack.seconds);
			if (i < STARTS - 1)
				return;
			await pause(1500);
			memory = stack.each(pss);
			node = await withNode(bench, stack, (service) => service.each(pss));
		});
	}
	return [
		{ name: "cold start to ready", value: median(seconds), unit: "s", most: 1, reference: `median of ${STARTS}, fresh state`,
			detail: { all: seconds.map((s) => Number(s.toFixed(3))) } },
		{ name: "idle stack, proportional memory", value: sum(memory) / 1024, unit: "MB", most: 48,
			reference: besideNode(node, (n) => `${(n.node / 1024).toFixed(1)} MB, alone`),
			detail: round(Object.fromEntries(Object.entries(memory).map(([k, v]) => [k, v / 1024]))) },
	];
}

// ---- sockets ---------------------------------------------------------------------------------------------------------------

const SOCKETS = 5000;

async function joinSockets(service) {
	const before = service.each(pss);
	const begin = Date.now();
	const load = new Load("socket", service, { users: SOCKETS });
	await load.event("ready");
	const seconds = (Date.now() - begin) / 1000;
	await pause(2000);
	const each = round(Object.fromEntries(Object.entries(difference(service.each(pss), before)).map(([k, v]) => [k, v / SOCKETS])), 2);
	load.go();
	return { each, seconds, result: await load.event("result") };
}

async function sockets(bench) {
	await bench.upstream.set();
	return withStack(bench, async (stack) => {
		const { each, seconds, result } = await joinSockets(stack);
		const node = await withNode(bench, stack, joinSockets);
		return [{
			name: `pushd's memory per idle joined socket`, value: each.pushd, unit: "KB", most: 4,
			reference: besideNode(node, (n) => `${n.each.node} KB, of ${SOCKETS}`), ratio: node && each.pushd / node.each.node,
			ok: each.pushd <= 4 && result.errors === 0, detail: { ...each, "joined in s": seconds, problem: result.problem },
		}];
	});
}

// ---- streams ---------------------------------------------------------------------------------------------------------------

const STREAMS = { users: 500, tokens: 100, interval: 50 };
const STREAM_MS = STREAMS.tokens * STREAMS.interval;

async function stream(service) {
	const load = new Load("rest", service, { users: STREAMS.users, ramp: STREAM_MS - 200, settle: STREAM_MS, seconds: 9, stream: true });
	await load.event("ready");
	const before = service.each(cpu);
	load.go();
	await load.event("full");
	const result = await load.event("result");
	const cost = round(Object.fromEntries(Object.entries(difference(service.each(cpu), before))
		.map(([k, v]) => [k, us(v) / result.pieces])), 1);
	return { result, cost };
}

async function streams(bench) {
	await bench.upstream.set({ delay: 200, tokens: STREAMS.tokens, interval: STREAMS.interval });
	return withStack(bench, async (stack) => {
		const { result, cost } = await stream(stack);
		const node = await withNode(bench, stack, stream);
		const lost = result.asked * STREAMS.tokens - result.pieces;
		return [
			{ name: "added to a token, p50", value: result.tokens.p50, unit: "ms", reference: besideNode(node, (n) => `${n.result.tokens.p50} ms`) },
			{ name: "added to a token, p99", value: result.tokens.p99, unit: "ms", most: 5, reference: besideNode(node, (n) => `${n.result.tokens.p99} ms`),
				ok: result.tokens.p99 <= 5 && result.errors === 0 && lost === 0,
				detail: { max: result.tokens.max, streams: STREAMS.users, tokens: atRate(STREAMS.users * 1000 / STREAMS.interval), lost, errors: result.errors,
					problem: result.problem, "µs each": cost, "Node's": node?.cost.node } },
		];
	});
}

// ---- what a message costs ---------------------------------------------------------------------------------------------------

const COST = { users: 32, seconds: 4, tokens: 20, times: 3 };

// ms of processor time; ratio: of what the Node service takes alone. It took 0.46 and 0.58 ms where the bars were set.
const COST_BARS = {
	rest: { ours: { most: 0.25, ratio: 0.54 }, all: { most: 0.45, ratio: 0.98 } },
	socket: { ours: { most: 0.25, ratio: 0.43 }, all: { most: 0.45, ratio: 0.78 } },
};

async function costOf(way, service) {
	const load = new Load(way, service, { users: COST.users, seconds: COST.seconds });
	await load.event("ready");
	const before = service.each(cpu);
	load.go();
	await load.event("full");
	const result = await load.event("result");
	const each = round(Object.fromEntries(Object.entries(difference(service.each(cpu), before))
		.map(([k, v]) => [k, ms(v) / result.answered])), 4);
	return { each, all: sum(each), result };
}

// The middle one of some runs, each with a stack of its own; the ways take turns, and beside each the Node service's.
async function cost(bench) {
	await bench.upstream.set({ tokens: COST.tokens });
	const runs = { rest: [], socket: [] };
	for (let i = 0; i < COST.times; i++)
		for (const way of Object.keys(runs))
			runs[way].push(await withStack(bench, async (stack) => ({ ...await costOf(way, stack), node: await withNode(bench, stack, (node) => costOf(way, node)) })));
	return Object.entries(runs).flatMap(([way, list]) => {
		const { each, all, result } = list.sort((a, b) => a.all - b.all)[Math.floor(COST.times / 2)];
		const ofNode = list.flatMap((run) => (run.node?.result.errors === 0 ? run.node.all : []));
		const node = median(ofNode);
		const errors = list.reduce((n, run) => n + run.result.errors, 0);
		const reference = node && `a Node service alone: ${node.toFixed(3)} ms`;
		const row = (whose, value, { most, ratio }, detail) => ({
			name: `a message over ${way}, ${whose} programs`, value, unit: "ms", reference, ratio: node && value / node,
			bar: `≤ ${most} ms or ratio ≤ ${ratio}`, ok: (value <= most || value <= ratio * node) && errors === 0, detail,
		});
		return [
			row("our", sum(each, OURS), COST_BARS[way].ours, { ...each, rate: atRate(result.answered / result.seconds), errors, problem: result.problem,
				added: result.added, "all of each run": list.map((run) => run.all), "Node's": ofNode }),
			row("all", all, COST_BARS[way].all),
		];
	});
}

// ---- many waiting ------------------------------------------------------------------------------------------------------------

const MANY = { few: 1000, many: 8000, delay: 8000, seconds: 16 };
const FEW_TIMES = 3;	// a run of few is short

// The same arrival each second, and as many calls for each one that waits, so that as many of them open a connection
// upstream: only the number that waits differs. Of service, what is called `name` is measured.
async function costOfWaiting(bench, users, service, name) {
	await bench.upstream.set({ delay: MANY.delay * users / MANY.many });
	const load = new Load("rest", service, { users, ramp: MANY.delay * users / MANY.many - 50, seconds: MANY.seconds * users / MANY.many });
	await load.event("ready");
	const memory = service.each(rss)[name];
	const spent = service.each(cpu)[name];
	load.go();
	await load.event("full");
	const most = service.each(rss)[name];
	const result = await load.event("result");
	return { kb: (most - memory) / users, us: us(service.each(cpu)[name] - spent) / result.answered, result };
}

const costOfChat = (bench, users) => withStack(bench, (stack) => costOfWaiting(bench, users, stack, "chat"));

async function many(bench) {
	const runs = [];
	for (let i = 0; i < FEW_TIMES; i++)
		runs.push(await costOfChat(bench, MANY.few));
	const few = runs.sort((a, b) => a.us - b.us)[Math.floor(FEW_TIMES / 2)];
	const lots = await costOfChat(bench, MANY.many);
	const node = await withStack(bench, (stack) => withNode(bench, stack, (service) => costOfWaiting(bench, MANY.many, service, "node")));
	const { result } = lots;
	const ofNode = (tell) => besideNode(node, tell);
	return [
		{ name: `${MANY.many} messages waiting at once: failures`, value: result.errors, unit: "", most: 0,
			ok: result.errors === 0 && result.mostWaiting >= MANY.many, reference: ofNode((n) => n.result.errors),
			detail: { asked: result.asked, "upstream takes ms": MANY.delay, mostWaiting: result.mostWaiting, problem: result.problem } },
		{ name: "memory of chat for each", value: lots.kb, unit: "KB", most: 30, reference: ofNode((n) => `${n.kb.toFixed(1)} KB`), ratio: node && lots.kb / node.kb,
			detail: { [`at ${MANY.few}`]: few.kb } },
		{ name: "processor time of chat for each", value: lots.us, unit: "µs", reference: `${few.us.toFixed(0)} µs at ${MANY.few}`,
			ratio: lots.us / few.us, bar: "ratio ≤ 1.3", ok: lots.us / few.us <= 1.3, detail: { "a Node service": node?.us } },
		{ name: "added to the upstream's time, p99", value: result.added.p99, unit: "ms", most: 20, reference: ofNode((n) => `${n.result.added.p99.toFixed(1)} ms`),
			ratio: node && result.added.p99 / node.result.added.p99,
			detail: { arrival: atRate(MANY.many / MANY.delay * 1000), p50: result.added.p50, max: result.added.max } },
	];
}

// ---- broadcast -------------------------------------------------------------------------------------------------------------------

const ROOM = { sockets: 1000, events: 400, pause: 10 };

// say(number, text): an event to the room of all sockets. Deliveries a second of processor time of what is called `name`.
async function deliver(service, name, findRoom, say) {
	const load = new Load("room", service, { users: ROOM.sockets, expect: ROOM.sockets * ROOM.events });
	await load.event("ready");
	const room = await findRoom();
	const before = service.each(cpu);
	load.go();
	for (let i = 0; i < ROOM.events; i++) {		// apart, so that each is written to each socket by itself
		await say(room, ["bench", { number: i, text: "x".repeat(100) }]);
		await pause(ROOM.pause);
	}
	const result = await load.event("result");
	return { result, rate: result.heard / difference(service.each(cpu), before)[name] };
}

async function broadcast(bench) {
	await bench.upstream.set();
	return withStack(bench, async (stack) => {
		const find = async (command, pattern) => pattern.exec(await stack.store([command]))[0];
		const { result, rate } = await deliver(stack, "pushd", () => find(["PUBSUB", "CHANNELS", "room:*"], /room:(?!staff)\S+/),
			(channel, event) => stack.store([["PUBLISH", channel, `0 0 -\n${JSON.stringify(event)}`]]));
		const node = await withNode(bench, stack, (service) => deliver(service, "node", () => find(["KEYS", "session:*"], /(?<=session:)\S+/),
			(room, args) => stack.store([["PUBLISH", "broadcast", JSON.stringify({ room, args })]])));
		return [{ name: "broadcast, deliveries a core of pushd", value: rate, unit: "/s", least: 70_000,
			ok: result.errors === 0 && result.heard === ROOM.sockets * ROOM.events && rate >= 70_000,
			reference: besideNode(node, (n) => atRate(n.rate)), ratio: node && rate / node.rate,
			detail: { sockets: ROOM.sockets, events: ROOM.events, "on the clock": atRate(result.heard / result.seconds), problem: result.problem } }];
	});
}

// ---- a call that is to cost the same whatever the store holds -------------------------------------------------------------------------

const STORED = 10_000;

// A system with none beside one with many, asked by turns: what else the machine does falls on both.
async function stored(bench) {
	await bench.upstream.set();
	return withStack(bench, (none) => withStack(bench, async (many) => {
		const load = new Load("rest", many, { users: STORED });
		await load.event("ready");
		load.go();
		await load.event("result");
		const rounds = [];
		for (let i = 0; i < ROUNDS; i++)
			rounds.push({ none: (await wrk(`${none.url}/health`)).rate, many: (await wrk(`${many.url}/health`)).rate });
		const of = (take) => median(rounds.map(take));
		const ratio = of((r) => r.many / r.none);
		return [{ name: `GET /health with ${STORED} sessions`, value: of((r) => r.many), unit: "/s",
			reference: `${atRate(of((r) => r.none))} with none`, ratio, bar: "ratio ≥ 0.9", ok: ratio >= 0.9 }];
	}));
}

// ---- what a conversation takes ---------------------------------------------------------------------------------------------------------

const KEPT = 20_000;	// of ten accounts; a hundred thousand take the same, each, within a hundredth, and five times as long

async function bytesEach(fill) {
	const redis = await BareRedis.start();
	const before = redis.memory();
	await fill(redis);
	const value = (redis.memory() - before) / KEPT;
	redis.stop();
	return value;
}

// A conversation as node_service keeps it: a hash, and a list of JSON that anybody can read.
function plainConversation() {
	const id = randomUUID(), timestamp = new Date().toISOString();
	const message = (i) => JSON.stringify({ id: randomUUID(), role: i % 2 ? "assistant" : "user", content: "x".repeat(200), timestamp });
	return [["HSET", `session:${id}`, "userId", randomUUID(), "created", timestamp], ["EXPIRE", `session:${id}`, "86400"],
		["RPUSH", `messages:${id}`, ...Array.from({ length: 6 }, (_, i) => message(i))], ["EXPIRE", `messages:${id}`, "86400"]];
}

function fillPlain(redis) {
	for (let left = KEPT; left > 0; left -= 1000)
		redis.send(Array.from({ length: 1000 }, plainConversation).flat());
}

// Stored by the programs' own functions, in a Redis of its own.
async function kept() {
	const value = await bytesEach((redis) => redis.fill(KEPT)), plain = await bytesEach(fillPlain);
	return [{ name: `a conversation of 6 × 200 bytes, of ${KEPT.toLocaleString("en")}`, value, unit: "bytes", most: 4096,
		reference: `plain JSON in no list: ${Math.round(plain)} bytes`, ratio: value / plain }];
}

// ---- a list of conversations ---------------------------------------------------------------------------------------------------------

const LIST = { conversations: 10_000, said: 50, page: 50, at: 64, rounds: 3 };

// An account whose newest conversations have each one question and its answer; the others the welcome alone.
async function seedConversations(stack) {
	const headers = { "content-type": "application/json" };
	const post = async (path, body) => {
		const res = await fetch(`${stack.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
		if (res.status !== 201)
			throw new Error(`POST ${path} gave ${res.status}: ${await res.text()}`);
		return res.json();
	};
	const { token } = await post("/api/auth/register", { name: "Bench", email: "bench@example.com", password: "Bench-passw0rd" });
	headers.authorization = `Bearer ${token}`;
	const agent = await post("/api/agents", { name: "Bench", companyName: "Bench", personality: "brief", companyInfo: "", prompts: [] });
	let left = LIST.conversations;
	await Promise.all(Array.from({ length: 16 }, async () => {
		while (left-- > 0) {
			const mine = left;
			const { _id } = await post("/api/conversations", { agentId: agent._id });
			if (mine < LIST.said)
				await post(`/api/conversations/${_id}/messages`, { content: "How long does delivery take?" });
		}
	}));
	return token;
}

const CHANGES = 20;	// a second

// Runs something while conversations are given other titles.
async function whileTheyChange(ids, target, headers, run) {
	const problems = [];
	let n = 0;
	const change = () => fetch(`${target}/${ids[n % ids.length]}`, { method: "PUT", body: JSON.stringify({ title: `Title ${n++}` }),
		headers: { ...headers, "content-type": "application/json" } })
		.then((res) => res.status === 200 ? res.arrayBuffer() : problems.push(`a title gave ${res.status}`), (e) => problems.push(e));
	const timer = setInterval(change, 1000 / CHANGES);
	const result = await run();
	clearInterval(timer);
	if (problems.length > 0)
		throw new Error(`${problems.length} changes failed, the first: ${problems[0]}`);
	return result;
}

const asking = (headers) => Object.entries(headers).map(([k, v]) => `wrk.headers["${k}"] = '${v}'`).join("\n");

async function list(bench) {
	await bench.upstream.set();
	const ref = await Reference.start();
	const rows = await withStack(bench, async (stack) => {
		const authorization = `Bearer ${await seedConversations(stack)}`;
		const target = `${stack.url}/api/conversations?limit=${LIST.page}`;
		const once = await fetch(target, { headers: { authorization } });
		const text = await once.text(), ids = JSON.parse(text).map((c) => c._id);
		const next = new URL(/<(.*)>/.exec(once.headers.get("link"))[1], target).href;
		const fresh = await (await fetch(next, { headers: { authorization } })).text();
		ref.body(text);
		const look = (headers, path = target) => wrkWithCost(path, { script: asking(headers) }, () => stack.each(cpu));
		const etag = async () => (await fetch(target, { method: "HEAD", headers: { authorization } })).headers.get("etag");
		const rounds = [];
		for (let i = 0; i < LIST.rounds; i++) {
			rounds.push({
				file: await look({}, `${ref.url}/body`),
				whole: await look({ authorization }),
				fresh: await look({ authorization }, next),
				packed: await look({ authorization, "accept-encoding": "gzip" }),
				known: await look({ authorization, "if-none-match": await etag() }),
				changing: await whileTheyChange(ids, `${stack.url}/api/conversations`, { authorization }, () => look({ authorization })),
				me: await look({ authorization }, `${stack.url}/api/auth/me`),
			});
		}
		const of = (take) => median(rounds.map(take));
		const reference = `nginx, from a file: ${atRate(of((r) => r.file.rate))}, p99 ${of((r) => inMs(r.file.p99)).toFixed(2)} ms`;
		const row = (name, which, most) => {
			const value = of((r) => inMs(r[which].p99));
			const failed = rounds.reduce((n, r) => n + r[which].failed, 0);
			return { name, value, unit: "ms", most, ok: most === undefined ? undefined : value <= most && failed === 0, reference,
				ratio: of((r) => r[which].rate / r.file.rate),
				detail: { rate: atRate(of((r) => r[which].rate)), failed, "µs each": rounds.at(-1)[which].cost } };
		};
		return [
			row(`list of ${LIST.page} of ${LIST.conversations} (${Math.round(text.length / 1024)} KB), p99 at ${LIST.at}`, "whole", 5),
			row("the same as browsers ask for it (gzip), p99", "packed", 5),
			row(`the next page, in which nobody has written (${Math.round(fresh.length / 1024)} KB), p99`, "fresh", 5),
			row("the same with If-None-Match, p99", "known", 5),
			row(`the same while ${CHANGES} of them change each second, p99`, "changing"),
			row("token checked and account loaded, p99", "me"),
		];
	});
	ref.stop();
	return rows;
}

export const groups = { rest, waiting, idle, sockets, streams, cost, many, broadcast, stored, kept, list, voice };
