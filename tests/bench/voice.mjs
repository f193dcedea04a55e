// Live calls: what Helpline adds between a customer's last sound and the first one of his answer, how soon it falls silent when
// he speaks, and whether what he hears has gaps.

import { Calls, Stack, cpu, pss, pause, difference } from "./stack.mjs";

// What a model's servers take: to write down what was said, to its first word, to the first sound. An answer lasts four seconds.
const SERVERS = { hear: 120, delay: 200, tokens: 2, interval: 30, sentences: 1, speak: 150, sound: 2000, step: 50 };
const FEW = { users: 50, seconds: 30, ramp: 5000 };
const MANY = { users: 200, seconds: 40, ramp: 10_000 };
const WELCOMED = 50;
const SILENCE = 550;	// ms: VAD_HANG_MS

async function withCompany(bench, use) {
	const stack = await Stack.start(bench.upstream, { MAX_CALLS: String(MANY.users) });
	try {
		const headers = { "content-type": "application/json" };
		const post = async (path, body) => {
			const res = await fetch(`${stack.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
			if (res.status !== 201)
				throw new Error(`POST ${path} gave ${res.status}: ${await res.text()}`);
			return res.json();
		};
		const { token, user } = await post("/api/auth/register", { name: "Bench", email: "bench@example.com", password: "Bench-passw0rd" });
		headers.authorization = `Bearer ${token}`;
		const agent = await post("/api/agents", { name: "Bench", companyName: "Bench", personality: "brief", companyInfo: "", prompts: [] });
		return await use(stack, { account: user._id, agent: agent._id });
	} finally {
		stack.stop();
	}
}

// Calls for a while; with each its processor time, in milliseconds a second of a call.
async function talk(stack, company, load) {
	const calls = new Calls(stack, { ...company, ...load, piece: 20, interrupt: 2 });
	await calls.event("ready");
	calls.go();
	await pause(load.ramp);
	const before = stack.each(cpu);
	const begun = Date.now();
	await pause(load.seconds * 1000 - load.ramp - 1000);
	const passed = (Date.now() - begun) / 1000;
	const cost = difference(stack.each(cpu), before);
	const result = await calls.event("result");
	result.cost = Object.fromEntries(Object.entries(cost).map(([k, v]) => [k, Number((v * 1000 / passed / load.users).toFixed(2))]));
	result.faultless = result.errors === 0 && result.unanswered === 0 && result.stale === 0;
	return result;
}

const whole = (r) => ({ answers: r.answers, gaps: r.gaps, stale: r.stale, unanswered: r.unanswered, errors: r.errors, problem: r.problem,
	"ms a second of a call": r.cost });

function rowsOfFew(few) {
	const reference = `at ${FEW.users} live calls, ${few.share?.count ?? 0} answers`;
	const row = (name, which, part, most) => ({ name, value: few[which]?.[part] ?? Infinity, unit: "ms", most, reference,
		ok: few.faultless && few[which]?.[part] <= most });
	return [
		{ ...row("our share of voice to voice, p50", "share", "p50", 15),
			detail: { [`after ${SILENCE} ms of silence that say he has ended`]: "not counted", ...whole(few) } },
		{ ...row("our share of voice to voice, p99", "share", "p99", 40), detail: { max: few.share?.max } },
		row("first audio after the upstream's first byte, p50", "first", "p50", undefined),
		{ ...row("first audio after the upstream's first byte, p99", "first", "p99", 10), detail: { max: few.first?.max } },
		row("silent after he speaks, p50", "stop", "p50", undefined),
		{ ...row("silent after he speaks, p99", "stop", "p99", 100), detail: { interruptions: few.stop?.count, max: few.stop?.max } },
	].map((r) => (r.most === undefined ? { ...r, ok: undefined } : r));
}

const rowOfMany = (many, kb) => ({ name: `${MANY.users} live calls in one process: gaps in audio`, value: many.gaps, unit: "", most: 0,
	ok: many.gaps === 0 && many.faultless, reference: `of ${many.answers} answers`,
	detail: { "latest sound, ms behind its time": many.latest, share: many.share, stop: many.stop, "KB a call in events": kb, ...whole(many) } });

// The same welcome, said to many: made when the conversations were made, or never again.
async function welcome(bench, stack, company) {
	const once = new Calls(stack, { ...company, users: 1, seconds: 30, greet: true });
	await once.event("ready");
	once.go();
	await once.event("result");
	await bench.upstream.set(SERVERS);	// counts from here
	const calls = new Calls(stack, { ...company, users: WELCOMED, seconds: 30, greet: true });
	await calls.event("ready");
	calls.go();
	const result = await calls.event("result");
	const { speeches } = await bench.upstream.set(SERVERS);
	return { name: `requests for ${WELCOMED} times the same words`, value: speeches, unit: "", most: 0, reference: `${result.welcomed} heard them`,
		ok: speeches === 0 && result.welcomed === WELCOMED && result.errors === 0, ...(result.problem && { detail: { problem: result.problem } }) };
}

export async function voice(bench) {
	await bench.upstream.set(SERVERS);
	try {
		return await withCompany(bench, async (stack, company) => {
			const cached = await welcome(bench, stack, company);
			const few = await talk(stack, company, FEW);
			const before = pss(stack.pid("events"));
			const many = await talk(stack, company, MANY);
			const kb = Number(((pss(stack.pid("events")) - before) / MANY.users).toFixed(1));
			return [...rowsOfFew(few), rowOfMany(many, kb), cached];
		});
	} finally {
		await bench.upstream.set({ sentences: 0 });
	}
}
