// Compares the ledger with the store: gives one line a check, { name, value, bad, detail }.

import { readFileSync } from "node:fs";
import { digest, request, waitFor } from "../harness.mjs";
import { TOKEN } from "./clients.mjs";

export const LEASE_MS = 4_000;
export const GRACE_MS = 10_000;

function readLedger(file) {
	const sessions = new Map();
	for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
		const entry = JSON.parse(line);
		if (!sessions.has(entry.session))
			sessions.set(entry.session, []);
		sessions.get(entry.session).push(entry);
	}
	return sessions;
}

// The stored messages of a session; null: there is none. Each user message has its token, each answer the last one it covers.
async function readStore(stack, session) {
	const res = await waitFor("the history", async () => {
		const got = await request(stack.url, "GET", `/api/v1/chat/history/${session}`);
		return [200, 404].includes(got.status) && got;
	}, { ms: 30_000, every: 200 });
	return res.status === 404 ? null : res.json.history.map((m) => ({
		...m, user: m.role === "user", token: m.content.match(TOKEN)?.at(-1), at: Date.parse(m.timestamp),
	}));
}

// The id of the answer to a stored message: sent again, it gets it.  undefined: none that is stored.
async function answerTo(stack, session, userId, { content, clientMessageId }) {
	const body = { sessionId: session, userId, message: content, clientMessageId };
	const res = await waitFor("a message sent again gets its answer", async () => {
		const got = await request(stack.url, "POST", "/api/v1/chat/message", { body });
		return ![429, 503].includes(got.status) && got;
	}, { ms: 30_000, every: 200 });
	return res.status === 200 && res.json.seq ? res.json.messageId : undefined;
}

/*
 * How far the answers that name no message reach, if more than one was open: what came while such an answer was under way is
 * stored before it and answered by the next one.  Answer's id → seq of the last message that it is the answer to.
 */
async function learnReach(stack, session, userId, log) {
	const reach = new Map();
	let open = [];
	for (const m of log ?? []) {
		if (m.user)
			open.push(m);
		if (m.user || m.by === "human")
			continue;
		const named = m.token ? open.findIndex((u) => u.token === m.token) : open.length - 1;
		for (let i = named; !m.token && i > 0; i--)
			if (await answerTo(stack, session, userId, open[i]) === m.id) {
				reach.set(m.id, open[i].seq);
				break;
			} else if (i === 1) {
				reach.set(m.id, open[0].seq);
			}
		const last = reach.get(m.id);
		open = open.slice(last === undefined ? named + 1 : open.findIndex((u) => u.seq === last) + 1);
	}
	return reach;
}

const settled = (log, spells) => log === null || log.length === 0 || coverage(log, spells).open.length === 0;

const spellsOf = (ledger, session) => (ledger.get(session) ?? []).filter((e) => e.what === "spell");

/*
 * Which answer covers which message: all before the one that it names, or, if it names none (an escalation's), all before
 * it that are still open, as far as it reaches (learnReach()). A message that is open at the end is unanswered; an answer that
 * covers nothing new is a second one. What a person has seen (spells: when one had the conversation, see scenarios.mjs) need not be answered.
 */
function coverage(log, spells = [], reach = new Map()) {
	const turns = [];
	const idle = [];
	let open = [];
	for (const m of log) {
		if (m.user)
			open.push(m);
		if (m.user || m.by === "human")
			continue;
		const named = m.token ? open.findIndex((u) => u.token === m.token) : open.length - 1;
		const covered = open.splice(0, reach.has(m.id) ? open.filter((u) => u.seq <= reach.get(m.id)).length : named + 1);
		if (covered.length === 0)
			idle.push(m);
		turns.push(...covered.map((u) => ({ session: u.session, message: u, answer: m, ms: m.at - u.at })));
	}
	const seen = (m) => spells.some((s) => m.seq <= s.until && m.at >= s.taken - LEASE_MS - GRACE_MS);
	return { turns: turns.filter((t) => !seen(t.message)), idle, open: open.filter((m) => !seen(m)) };
}

class Verdict {
	rows = [];

	// items are what is wrong; allowed: they are told, and no failure.
	check(name, items, of, allowed = false) {
		this.rows.push({ name, value: items.length, of, held: allowed ? undefined : items.length === 0,
			detail: items.slice(0, 3).map((i) => JSON.stringify(i)) });
	}
}

function judgeStored(v, logs, ledger, mayLose) {
	const lost = [], wrong = [], doubled = [], answersLost = [];
	let acknowledged = 0, answers = 0;
	for (const [session, entries] of ledger) {
		const log = logs.get(session) ?? [];
		for (const e of entries.filter((x) => x.what === "acknowledged")) {
			const found = log.filter((m) => m.user && m.clientMessageId === e.cid);
			acknowledged++;
			if (found.length === 0)
				lost.push(e);
			else if (found.some((m) => digest(m.content) !== e.hash || (e.seq && (m.seq !== e.seq || m.id !== e.id))))
				wrong.push({ ledger: e, store: found });
		}
		for (const e of entries.filter((x) => x.what === "answer")) {
			const m = log[e.seq - 1];
			answers++;
			if (!m || m.user || m.id !== e.id || digest(m.content) !== e.hash)
				answersLost.push({ ledger: e, store: m });
		}
		const cids = log.filter((m) => m.user).map((m) => m.clientMessageId);
		doubled.push(...cids.filter((c, i) => cids.indexOf(c) !== i));
	}
	v.check("acknowledged messages lost", lost, `${acknowledged} acknowledged`, mayLose);
	v.check("stored otherwise than acknowledged", wrong, "", mayLose);
	v.check("messages stored twice", doubled, "");
	v.check("answers seen that are not stored so", answersLost, `${answers} seen`, mayLose);
}

function judgeTurns(v, logs, ledger, deaths, { timed, reaches }) {
	const idle = [], open = [], late = [], order = [], all = [];
	for (const [session, log] of logs) {
		const c = coverage(log ?? [], spellsOf(ledger, session), reaches.get(session));
		idle.push(...c.idle.map((m) => ({ session, answer: m })));
		open.push(...c.open.map((m) => ({ session, message: m })));
		all.push(...c.turns);
		(log ?? []).forEach((m, i) => m.seq === i + 1 || order.push({ session, seq: m.seq, place: i + 1 }));
	}
	v.check("answers doubled", idle, `${all.length} messages covered`);
	v.check("messages unanswered", open, "");
	v.check("seq out of order in the store", order, "");
	if (timed) {
		// Each death of what answers may cost one lease more: the turn's next runner is killed as well as its first.
		for (const t of all) {
			const during = deaths.filter((at) => at >= t.message.at - 1000 && at <= t.answer.at);
			const last = Math.max(t.message.at, ...during);
			if (t.answer.at - last > LEASE_MS + GRACE_MS)
				late.push({ ms: t.ms, answer: t.answer });
		}
		v.check("turns later than lease + 10 s after acceptance, or after the last kill meanwhile", late, "");
		const times = all.map((t) => t.ms).sort((a, b) => a - b);
		const beyond = times.filter((ms) => ms > LEASE_MS + GRACE_MS).length;
		v.rows.push({ name: "turns later than lease + 10 s after acceptance", value: beyond, held: beyond === 0 ? true : undefined,
			of: `median ${times[times.length >> 1]} ms, p99 ${times[Math.floor(times.length * 0.99)]} ms, longest ${times.at(-1)} ms` });
	}
}

// Between the end of a take and the beginning of the return no message is the model's.
function judgeSpells(v, logs, ledger) {
	const spells = [...ledger.values()].flat().filter((e) => e.what === "spell");
	const late = spells.flatMap((s) => (logs.get(s.session) ?? []).filter((m) => !m.user && m.by !== "human" && m.seq > s.from && m.seq <= s.to)
		.map((m) => ({ spell: s, answer: m })));
	if (spells.length > 0)
		v.check("messages of the model while a person had the conversation", late, `${spells.length} take-overs`);
}

function judgeClients(v, logs, ledger, mayLose) {
	const differ = [], problems = [];
	let transcripts = 0;
	for (const [session, entries] of ledger) {
		problems.push(...entries.filter((e) => e.what === "problem"));
		for (const t of entries.filter((e) => e.what === "transcript")) {
			transcripts++;
			const ids = (list) => list.filter((m) => m.seq <= t.upTo).map((m) => m.id);
			const seen = ids(t.seen), stored = ids((logs.get(session) ?? []).filter((m) => !m.user));
			if (seen.join() !== stored.join())
				differ.push({ session, seen: seen.length, stored: stored.length });
		}
	}
	v.check("transcripts of sockets that differ from the store", differ, `${transcripts} transcripts`, mayLose);
	v.check("out of order, refused or contradicted, as clients saw it", problems, "", mayLose);
}

// deaths: when an engine or the store was killed (Date.now()). mayLose: the store was allowed to forget.
export async function judge(stack, ledgerFile, { deaths = [], mayLose = false, timed = true } = {}) {
	const ledger = readLedger(ledgerFile);
	const logs = new Map(), reaches = new Map();
	const v = new Verdict();
	await Promise.all([...ledger.keys()].filter((session) => session !== undefined).map(async (session) => {
		const read = async () => logs.set(session, await readStore(stack, session)).get(session);
		await waitFor("all is answered", async () => settled(await read(), spellsOf(ledger, session)), { ms: LEASE_MS + GRACE_MS, every: 500 }).catch(() => {});
		const { client } = ledger.get(session).find((e) => e.client !== undefined) ?? {};
		reaches.set(session, await learnReach(stack, session, `customer-${client}`, logs.get(session)));
	}));
	judgeStored(v, logs, ledger, mayLose);
	judgeTurns(v, logs, ledger, deaths, { timed, reaches });
	judgeSpells(v, logs, ledger);
	judgeClients(v, logs, ledger, mayLose);
	return v.rows;
}
