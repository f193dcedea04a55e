// Figures of a company (contract: desk API, GET /api/analytics and .csv): they are what a recount of the conversations
// themselves finds, nobody sees another's, and no cell of the table is a formula.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, runScript, request, assertProblem, waitFor, unique } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";

const URL = "/api/analytics";
const CHAT_OWNER = "Chat.Owner@example.com";
const PRICES = { PRICE_INPUT: "2.5", PRICE_OUTPUT: "10" };
const DAY = 86_400_000;
const KEEP_DAYS = 400;
const ERROR = 0.0625;		// of a percentile, as the answer says
const SLACK_MS = 1;		// what is rounded

let upstream, stack, ada, eve, owner, root;

const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const ago = (days) => day(Date.now() - days * DAY);

// Somebody with a given address.
async function join(email, name) {
	const res = await stack.post("/api/auth/register", { name, email, password: "Secret-passw0rd" });
	assert.equal(res.status, 201, res.text);
	return new Person(stack, res.json);
}

// An administrator that a token names, who has no account.
async function administrator() {
	const out = await runScript(["token", "--user", "root", "--state-dir", stack.dir], { env: stack.env });
	assert.equal(out.status, 0, out.stderr);
	return new Person(stack, { token: out.stdout.trim(), user: { _id: "root" } });
}

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ...DESK_ENV, ...PRICES, CHAT_OWNER } });
	[ada, eve] = [await Person.join(stack), await Person.join(stack, "Eve Dropper")];
	owner = await join(CHAT_OWNER.toLowerCase(), "Olivia Owner");
	root = await administrator();
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const report = (person, query = "") => person.ok("GET", URL + query);

// From yesterday on, so that a day that ends meanwhile is no problem.
const now = (person, query = "") => report(person, `?from=${ago(1)}&to=${day(Date.now() + DAY)}${query}`);

// ---- a recount -----------------------------------------------------------------------------------------------------

const percentile = (sorted, part) => sorted[Math.max(1, Math.ceil(part * sorted.length)) - 1];
const money = ({ input, output }) => (input * Number(PRICES.PRICE_INPUT) + output * Number(PRICES.PRICE_OUTPUT)) / 1e6;

const nothing = () => ({
	conversations: 0, completed: 0, escalated: 0, resolvedWithoutPerson: 0, customerMessages: 0, answers: 0, humanReplies: 0,
	satisfaction: { 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 },
	sentiment: { pending: 0, positive: 0, neutral: 0, negative: 0, urgent: 0 },
	first: [], times: [],
});

function recount(conversations, escalated) {
	const sum = nothing();
	for (const c of conversations) {
		const over = c.status !== "active";
		sum.conversations++;
		sum.completed += over;
		sum.escalated += escalated.has(c._id);
		sum.resolvedWithoutPerson += over && !escalated.has(c._id);
		if (c.analytics.satisfaction)
			sum.satisfaction[c.analytics.satisfaction]++;
		sum.sentiment[c.metadata.sentiment]++;
		let asked = [];
		let first;
		for (const m of c.messages) {
			if (m.role === "user") {
				sum.customerMessages++;
				asked.push(Date.parse(m.timestamp));
			} else if (m.by === "human")
				sum.humanReplies++;
			else if (asked.length) {
				sum.answers++;
				sum.times.push(Date.parse(m.timestamp) - asked[0]);
				if (first === undefined)
					sum.first.push(first = Date.parse(m.timestamp) - asked[0]);
				asked = [];
			}
		}
	}
	return sum;
}

function timesAre(said, exact, what) {
	assert.equal(said.count, exact.length, what);
	if (exact.length === 0)
		return assert.deepEqual(said, { count: 0, average: null, p50: null, p90: null, p95: null, p99: null }, what);
	const sorted = exact.toSorted((a, b) => a - b);
	const near = (n, right, error) => assert.ok(Math.abs(n - right) <= right * error + SLACK_MS, `${what}: ${n}, not ${right} of ${sorted}`);
	near(said.average, exact.reduce((a, b) => a + b) / exact.length, 0);
	for (const p of [50, 90, 95, 99])
		near(said[`p${p}`], percentile(sorted, p / 100), ERROR);
}

// All that a set of figures says, against the recount.
function figuresAre(figures, sum, what = "figures") {
	const { first, times, satisfaction, sentiment, ...counts } = sum;
	for (const [name, n] of Object.entries(counts))
		assert.equal(figures[name], n, `${what}: ${name}`);
	const ratings = Object.values(satisfaction).reduce((a, b) => a + b);
	const stars = Object.entries(satisfaction).reduce((a, [star, n]) => a + star * n, 0);
	assert.deepEqual(figures.satisfaction.distribution, satisfaction, what);
	assert.equal(figures.satisfaction.count, ratings, what);
	close(figures.satisfaction.average, ratings ? stars / ratings : null, what);
	assert.deepEqual(figures.sentiment, sentiment, what);
	close(figures.escalationRate, sum.conversations ? sum.escalated / sum.conversations : null, what);
	close(figures.resolutionRate, sum.completed ? sum.resolvedWithoutPerson / sum.completed : null, what);
	timesAre(figures.firstResponseMs, first, `${what}: first response`);
	timesAre(figures.answerMs, times, `${what}: answers`);
}

function close(a, b, what) {
	if (a === null || b === null)
		return assert.equal(a, b, what);
	assert.ok(Math.abs(a - b) < 1e-5, `${what}: ${a}, not ${b}`);
}

// Every number of some figures added up by name, as the totals must be; times cannot be added.
const KEYS = ["conversations", "completed", "escalated", "resolvedWithoutPerson", "customerMessages", "answers", "humanReplies"];
function addsUp(total, parts, what) {
	for (const key of KEYS)
		assert.equal(parts.reduce((sum, f) => sum + f[key], 0), total[key], `${what}: ${key}`);
	for (const key of ["input", "output"])
		assert.equal(parts.reduce((sum, f) => sum + f.tokens[key], 0), total.tokens[key], `${what}: tokens`);
}

async function everything(person) {
	const list = await person.list("?limit=100");
	return Promise.all(list.map((c) => person.read(c._id)));
}

async function agrees(person, escalated = new Set()) {
	const conversations = await everything(person);
	const found = await now(person);
	figuresAre(found.totals, recount(conversations, escalated), "totals");
	addsUp(found.totals, found.byDay, "days");
	addsUp(found.totals, found.byAgent, "agents");
	for (const row of found.byAgent)
		figuresAre(row, recount(conversations.filter((c) => (c.agentId ?? null) === row.agentId), escalated), row.name ?? "none");
	return found;
}

// ---- the tests -----------------------------------------------------------------------------------------------------

describe("GET /api/analytics", () => {
	test("the last thirty days, if nothing else is asked for: each is there, with zeros", async () => {
		const before = day(Date.now());
		const empty = await report(eve);
		if (empty.to !== before)
			return;			// a day has just begun
		assert.equal(empty.from, ago(29));
		assert.equal(empty.days, 30);
		assert.deepEqual(empty.byDay.map((d) => d.date), Array.from({ length: 30 }, (_, i) => ago(29 - i)));
		assert.deepEqual([empty.scope, empty.agentId, empty.byAgent], ["own", null, []]);
		assert.equal(empty.percentileError, ERROR);
		for (const figures of [empty.totals, ...empty.byDay]) {
			figuresAre(figures, nothing());
			assert.deepEqual([figures.tokens, figures.cost], [{ input: 0, output: 0 }, 0]);
		}
	});

	test("they are what a recount of the conversations finds, by day and by agent", async () => {
		const agents = [await ada.agent({ name: "Robin" }), await ada.agent({ name: "Wren", companyName: "Wren & Sons" })];
		const idle = await ada.agent({ name: "Idle" });
		const escalated = new Set();
		const tokens = { input: 0, output: 0 };
		const feelings = ["positive", "negative", "neutral", "urgent"];
		const ids = [];

		upstream.otherwise = (_, n) => said(`Answer ${n} to you.`, { sentiment: feelings[n % 3], confidence: 0.95 }, { usage: true, delay: n % 4 * 40 });
		for (let i = 0; i < 9; i++) {
			const c = i < 8 ? await ada.conversation(agents[i % 2]._id) : await ada.conversation();
			ids.push(c._id);
			for (let j = 0; j < i % 4; j++)
				await ada.say(c._id, `Question ${j} about pots`);
		}
		await agrees(ada);
		const asked = await ada.say(ids[0], "I want to talk to a person please");
		assert.ok(asked, "escalates without the model");
		escalated.add(ids[0]);
		upstream.next(said("Help is on its way.", { sentiment: "urgent", confidence: 0.95 }, { usage: true }));
		await ada.say(ids[1], "This is an emergency");
		escalated.add(ids[1]);
		for (const [i, satisfaction] of [[0, 1], [1, 5], [2, 5], [3, 4]])
			await ada.ok("PUT", `/api/conversations/${ids[i]}`, { satisfaction });
		for (const i of [1, 2, 3])
			await ada.ok("PUT", `/api/conversations/${ids[i]}/end`);
		await ada.ok("PUT", `/api/conversations/${ids[4]}`, { status: "archived" });
		const found = await agrees(ada, escalated);

		for (const { usage } of upstream.requests) {
			tokens.input += usage.prompt_tokens;
			tokens.output += usage.completion_tokens;
		}
		assert.deepEqual(found.totals.tokens, tokens, "what the model said it used");
		assert.ok(Math.abs(found.totals.cost - money(found.totals.tokens)) <= 2e-6 * upstream.requests.length, `${found.totals.cost}`);
		const rows = Object.fromEntries(found.byAgent.map((a) => [a.name, a]));
		assert.deepEqual(Object.keys(rows).sort(), ["Idle", "Robin", "Wren", "null"]);
		assert.equal(rows.Idle.conversations, 0);
		assert.deepEqual([rows.Wren.kind, rows.Wren.agentId, rows.Wren.companyName], ["agent", agents[1]._id, "Wren & Sons"]);
		assert.deepEqual([rows.null.kind, rows.null.agentId], ["none", null], "the simulator has no agent yet");
		const one = await now(ada, `&agentId=${agents[0]._id}`);
		assert.equal(one.agentId, agents[0]._id);
		assert.deepEqual(one.byAgent.map((a) => a.agentId), [agents[0]._id]);
		for (const [name, value] of Object.entries(one.totals))
			if (name !== "days")
				assert.deepEqual(value, rows.Robin[name], name);
		assert.equal((await now(ada, `&agentId=${idle._id}`)).totals.conversations, 0);
		figuresAre((await now(eve)).totals, nothing(), "another's");
	});

	test("what changes moves: a rating, a status, a deletion; what a person answers is counted as his", async () => {
		const bob = await Person.join(stack, "Bob Builder");
		const agent = await bob.agent();
		const [one, two] = [await bob.conversation(agent._id), await bob.conversation(agent._id)];
		const rate = (c, satisfaction) => bob.ok("PUT", `/api/conversations/${c._id}`, { satisfaction });
		const escalated = new Set([one._id]);

		await bob.say(one._id, "I want to talk to a person please");
		await rate(one, 2);
		await rate(two, 3);
		await rate(one, 5);
		await bob.ok("PUT", `/api/conversations/${one._id}/end`);
		await agrees(bob, escalated);
		const { _id: id } = (await root.ok("GET", "/api/escalations?status=open")).find((e) => e.conversationId === one._id);
		await root.ok("POST", `/api/escalations/${id}/take`);
		await root.ok("POST", `/api/escalations/${id}/reply`, { content: "Hello, this is Root." }, 201);
		await bob.ok("PUT", `/api/conversations/${one._id}`, { status: "active" });
		await agrees(bob, escalated);
		await bob.delete(`/api/conversations/${two._id}`);
		assert.equal((await now(bob)).totals.conversations, 1);
		await bob.delete(`/api/agents/${agent._id}`);
		const left = await now(bob);
		assert.deepEqual(left.byAgent.map((a) => [a.kind, a.agentId, a.name, a.conversations]), [["deleted", null, null, 1]]);
		await bob.delete(`/api/conversations/${one._id}`);
		const { totals } = await now(bob);
		assert.deepEqual([totals.conversations, totals.escalated, totals.satisfaction.count], [0, 0, 0]);
		assert.equal(totals.humanReplies, 1, "what happened, happened");
	});

	test("each day has its own, and the range has both its ends", async () => {
		const carl = await Person.join(stack, "Carl Calendar");
		await carl.conversation((await carl.agent())._id);
		const redis = await stack.redis();
		const today = Math.floor(Date.now() / DAY);
		// What carl has of today is the only key with just the one conversation that is not of the whole installation.
		const keys = (await redis.call("KEYS", `an:*:${today}`)).map(String).filter((k) => !/:(all|chat):/.test(k));
		let mine;
		for (const key of keys) {
			const fields = (await redis.call("HKEYS", key)).map(String);
			if (fields.length === 1 && fields[0].endsWith(":volume"))
				mine = key;
		}
		assert.ok(mine, "found");
		for (const back of [1, 10, 20, 365]) {
			const then = mine.replace(/\d+$/, today - back);
			await redis.call("COPY", mine, then);
			await redis.call("EXPIREAT", then, (today - back + KEEP_DAYS) * DAY / 1000);
		}
		const counts = async (from, to) => (await report(carl, `?from=${ago(from)}&to=${ago(to)}`)).byDay.map((d) => d.conversations);
		assert.deepEqual(await counts(10, 10), [1]);
		assert.deepEqual(await counts(11, 9), [0, 1, 0]);
		assert.deepEqual(await counts(9, 2), Array(8).fill(0));
		const all = await report(carl, `?from=${ago(365)}&to=${ago(0)}`);
		assert.equal(all.days, 366);
		assert.equal(all.totals.conversations, 5);
		assert.deepEqual(all.byDay.filter((d) => d.conversations).map((d) => d.date), [365, 20, 10, 1, 0].map(ago));
	});

	test("days are forgotten after four hundred days, and nothing readable is in them", async () => {
		const redis = await stack.redis();
		const keys = (await redis.call("KEYS", "an:*")).map(String).filter((k) => !k.includes(":flushed:"));
		assert.ok(keys.length >= 3, keys.join(" "));
		for (const key of keys) {
			const end = await redis.call("EXPIRETIME", key);
			assert.equal(end, (Number(/\d+$/.exec(key)[0]) + KEEP_DAYS) * DAY / 1000, key);
			for (const field of (await redis.call("HKEYS", key)).map(String))
				assert.match(field, /^([\w-]{22}|-):(volume|completed|escalated|resolved|asked|replies|[rs]\d|[ft]\d{1,3}|[ft]ms|ti|to|m)$/);
		}
	});
});

describe("sessions of the chat API", () => {
	const figures = async () => (await now(owner)).byAgent.find((a) => a.kind === "none");

	test("belong to CHAT_OWNER, within two seconds", async () => {
		upstream.otherwise = (_, n) => said(`Answer ${n}.`, { sentiment: "positive", confidence: 0.95 }, { usage: true });
		const sessions = [await stack.session(), await stack.session(), await stack.session()];
		await stack.session();		// nobody writes in this one
		await stack.say(sessions[0], "Hello");
		await stack.say(sessions[0], "What does a lamp cost?");
		await stack.say(sessions[1], "I want to talk to a person please");
		upstream.next(said("I see.", { sentiment: "negative", confidence: 0.95 }, { usage: true }));
		await stack.say(sessions[2], "It is broken");
		upstream.next(said("Wonderful.", { sentiment: "positive", confidence: 0.95 }, { usage: true }));
		await stack.say(sessions[2], "It works, thanks!");
		const found = await waitFor("all is flushed", async () => {
			const f = await figures();
			return f?.answers === 5 && f;
		});
		assert.deepEqual([found.conversations, found.completed, found.escalated, found.resolvedWithoutPerson], [3, 3, 1, 2]);
		assert.deepEqual([found.customerMessages, found.answers, found.humanReplies], [5, 5, 0]);
		assert.equal(found.firstResponseMs.count, 3);
		assert.equal(found.answerMs.count, 5);
		assert.equal(found.sentiment.positive, 2, "the mood of a session is that of its last turn");
		assert.equal(found.sentiment.negative, 0);
		assert.equal(Object.values(found.sentiment).reduce((a, b) => a + b), 3);
		assert.ok(found.tokens.input > 0 && found.tokens.output > 0);
		assert.ok(Math.abs(found.cost - money(found.tokens)) < 1e-5, `${found.cost}`);
		figuresAre((await now(eve)).totals, nothing(), "nobody else's");
	});

	test("a second escalation of one session is the same session; what a person writes is his", async () => {
		const was = await figures();
		const id = await stack.session();
		for (let i = 0; i < 2; i++) {
			const { escalation } = await stack.say(id, "I want to talk to a person please");
			await root.ok("POST", `/api/escalations/${escalation.id}/take`);
			await root.ok("POST", `/api/escalations/${escalation.id}/reply`, { content: "Here I am." }, 201);
			await root.ok("POST", `/api/escalations/${escalation.id}/close`);
		}
		const f = await waitFor("all is flushed", async () => {
			const found = await figures();
			return found.answers === was.answers + 2 && found;
		});
		assert.deepEqual([f.conversations, f.escalated, f.resolvedWithoutPerson, f.humanReplies],
			[was.conversations + 1, was.escalated + 1, was.resolvedWithoutPerson, 2]);
	});

	test("a program that ends in order has counted all", async () => {
		const was = await figures();
		await stack.say(await stack.session(), "Hello");
		await stack.restart("chat");
		const found = await figures();
		assert.deepEqual([found.conversations, found.answers, found.customerMessages],
			[was.conversations + 1, was.answers + 1, was.customerMessages + 1]);
	});

	test("what sockets say counts too, and a message that is sent twice counts once", async () => {
		const was = await figures();
		const client = await stack.client();
		const sessionId = await client.join();
		const message = { sessionId, userId: "visitor-1", message: "Hello", clientMessageId: unique() };
		await client.ask("send-message", message);
		await client.when("message-received");
		await client.ask("send-message", message);
		await stack.restart("events");
		const found = await figures();
		assert.deepEqual([found.conversations, found.answers, found.customerMessages],
			[was.conversations + 1, was.answers + 1, was.customerMessages + 1]);
	});
	test("and so do their escalations: CHAT_OWNER, no administrator, sees and takes them, and hears of them", async () => {
		const staff = await stack.client({ auth: { token: owner.token } });
		const stranger = await stack.client({ auth: { token: eve.token } });
		const id = await stack.session();
		const { escalation } = await stack.say(id, "I want to talk to a person please");
		const told = await staff.when("escalation-needed", (e) => e._id === escalation.id);
		assert.equal(told.sessionId, id);
		const redis = await stack.redis();	// as if conversations had been forgotten meanwhile
		await redis.call("ZADD", "open:{0}", ...Array.from({ length: 700 }, (_, i) => ["1", String(i).padStart(22, "A")]).flat());
		const open = await owner.ok("GET", "/api/escalations?status=open");
		assert.equal(await redis.call("ZCOUNT", "open:{0}", "1", "1"), 0);
		assert.ok(open.some((e) => e._id === escalation.id && e.conversationId === id));
		assert.deepEqual(await eve.ok("GET", "/api/escalations"), []);
		for (const [method, path] of [["GET", ""], ["POST", "/take"], ["POST", "/close"]])
			assertProblem(await eve.call(method, `/api/escalations/${escalation.id}${path}`), 404);
		await owner.ok("POST", `/api/escalations/${escalation.id}/take`);
		await owner.ok("POST", `/api/escalations/${escalation.id}/reply`, { content: "Olivia here." }, 201);
		await staff.when("conversation-updated", (e) => e.conversationId === id && e.message.content === "Olivia here.");
		await owner.ok("POST", `/api/escalations/${escalation.id}/close`);
		assert.deepEqual(stranger.all("escalation-needed"), []);
		// Those of desk conversations are their accounts', not CHAT_OWNER's.
		const c = await ada.conversation((await ada.agent())._id);
		await ada.say(c._id, "I want to talk to a person please");
		const all = await root.ok("GET", "/api/escalations");
		const hers = all.find((e) => e.conversationId === c._id);
		assert.ok(!(await owner.ok("GET", "/api/escalations")).some((e) => e._id === hers._id));
		assertProblem(await owner.get(`/api/escalations/${hers._id}`), 404);
	});
});

describe("CHAT_OWNER", () => {
	test("is the account that had the address, not who takes it later", async (t) => {
		const address = "first@example.com", own = await startStack({ env: { ...DESK_ENV, CHAT_OWNER: address } });
		t.after(() => own.stop());
		const sign = async (email) => (await own.post("/api/auth/register", { name: "Somebody", email, password: "Correct horse 1" })).json.token;
		const ask = (method, path, token, body) => own.call(method, path, { body, headers: { authorization: `Bearer ${token}` } });
		const { escalation } = await own.say(await own.session(), "I want to talk to a person please");
		const first = await sign(address), ids = async (token) => (await ask("GET", "/api/escalations", token)).json.map((e) => e._id);
		assert.deepEqual(await ids(first), [escalation.id]);
		const moved = await ask("PUT", "/api/auth/profile", first, { email: "elsewhere@example.com", currentPassword: "Correct horse 1" });
		assert.equal(moved.status, 200, moved.text);
		const second = await sign(address);
		assert.deepEqual([await ids(moved.json.token ?? first), await ids(second)], [[escalation.id], []]);
		assertProblem(await ask("GET", `/api/escalations/${escalation.id}`, second), 404);
	});
});

describe("who may ask for what", () => {
	test("without a token, or with another's agent", async () => {
		assertProblem(await stack.get(URL), 401);
		assertProblem(await stack.get(`${URL}.csv`), 401);
		const theirs = await ada.agent();
		for (const path of [URL, `${URL}.csv`])
			for (const id of [theirs._id, "AAAAAAAAAAAAAAAAAAAAAA", "x", "..%2f", "%00", "%ff", "a".repeat(5000), "%27%22%3C"])
				assertProblem(await eve.get(`${path}?agentId=${id}`), 404, /agent/, id.slice(0, 30));
	});

	test("an administrator sees the whole installation, and any agent; nobody else does", async () => {
		const mine = await ada.agent();
		await ada.conversation(mine._id);
		assertProblem(await eve.get(`${URL}?scope=all`), 403, /administrator/);
		const [all, ...parts] = await Promise.all([now(root), now(ada), now(owner)]);
		assert.equal(all.scope, "all");
		assert.deepEqual(all.byAgent, []);
		addsUp(all.totals, all.byDay, "days");
		for (const key of KEYS)
			assert.ok(all.totals[key] >= parts[0].totals[key] + parts[1].totals[key], key);
		const agent = await now(root, `&agentId=${mine._id}`);
		assert.deepEqual([agent.scope, agent.totals.conversations, agent.byAgent.length], ["own", 1, 1]);
		assertProblem(await root.get(`${URL}?scope=own`), 403, /no account/);
	});

	test("what is no range is refused with a sentence", async () => {
		const bad = [
			["from=yesterday", /from/], ["from=2026-13-01", /from/], ["to=2026-02-30", /to/], ["from=2026-1-1", /from/],
			["from=20260101", /from/], ["from=2026-01-01T24:00:00Z", /from/],
			["from=2026-01-01T", /from/], ["from=2026-01-01T00:00:00", /from/], ["from=2026-01-01T00:00:00.000Zx", /from/],
			["from=2026-02-30T00:00:00Z", /from/], ["from=-1", /from/], ["to=1969-12-31", /to/],
			["from=2026-01-02&to=2026-01-01", /before/], ["from=2020-01-01", /366/], ["from=2025-01-01&to=2026-01-02", /366/],
			["from=9999-12-31", /before/], ["from=%00", /from/], ["from=99999999999999999999", /from/],
			["scope=mine", /scope/], ["by=week", /by/], ["from[]=2026-01-01&from=x", /from/],
		];
		for (const path of [URL, `${URL}.csv`])
			for (const [query, sentence] of bad)
				assertProblem(await ada.get(`${path}?${query}`), 400, sentence, query);
		assert.equal((await report(ada, "?from=2025-01-01&to=2026-01-01")).days, 366);
		assert.equal((await report(ada, "?from=2026-01-30T23:59:59.999Z&to=2026-01-31T00%3A00%3A00Z")).days, 2);
		assert.equal((await report(ada, "?to=9999-12-31")).days, 30);
		assert.equal((await report(ada, "?to=1970-01-05")).from, "1970-01-01");
		assertProblem(await ada.post(URL, {}), 405);
	});
});

// ---- the table -----------------------------------------------------------------------------------------------------

// RFC 4180, strictly: rows end with CR LF, a quoted cell may hold anything.
function parseCsv(text) {
	const rows = [[]];
	for (let at = 0; at < text.length; ) {
		const cell = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
		cell.lastIndex = at;
		const [whole, quoted, bare] = cell.exec(text);
		rows.at(-1).push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
		at += whole.length;
		if (text.startsWith("\r\n", at)) {
			at += 2;
			if (at < text.length)
				rows.push([]);
		} else {
			assert.equal(text[at], ",", `at ${at}: ${JSON.stringify(text.slice(at - 20, at + 20))}`);
			at++;
		}
	}
	const [names, ...list] = rows;
	for (const row of list)
		assert.equal(row.length, names.length, row.join());
	return { names, rows: list.map((row) => Object.fromEntries(row.map((cell, i) => [names[i], cell]))) };
}

async function table(person, query) {
	const res = await person.get(`${URL}.csv${query}`);
	assert.equal(res.status, 200, res.text);
	assert.match(res.headers["content-type"], /^text\/csv; charset=utf-8/);
	assert.ok(res.text.endsWith("\r\n"));
	return { ...parseCsv(res.text), res };
}

function sameFigures(row, f) {
	const number = (cell) => (cell === "" ? null : Number(cell));
	for (const [cell, value] of [
		["conversations", f.conversations], ["completed", f.completed], ["escalated", f.escalated], ["escalation_rate", f.escalationRate],
		["resolved_without_person", f.resolvedWithoutPerson], ["resolution_rate", f.resolutionRate],
		["customer_messages", f.customerMessages], ["answers", f.answers], ["human_replies", f.humanReplies],
		["first_response_count", f.firstResponseMs.count], ["first_response_average_ms", f.firstResponseMs.average],
		...[50, 90, 95, 99].flatMap((p) => [[`first_response_p${p}_ms`, f.firstResponseMs[`p${p}`]], [`answer_p${p}_ms`, f.answerMs[`p${p}`]]]),
		["answer_count", f.answerMs.count], ["answer_average_ms", f.answerMs.average],
		["satisfaction_count", f.satisfaction.count], ["satisfaction_average", f.satisfaction.average],
		...[1, 2, 3, 4, 5].map((n) => [`satisfaction_${n}`, f.satisfaction.distribution[n]]),
		...Object.entries(f.sentiment).map(([name, n]) => [`sentiment_${name}`, n]),
		["tokens_input", f.tokens.input], ["tokens_output", f.tokens.output], ["cost", f.cost],
	])
		close(number(row[cell]), value, cell);
}

describe("GET /api/analytics.csv", () => {
	test("has the same figures, a row for each day", async () => {
		const range = `?from=${ago(5)}&to=${day(Date.now() + DAY)}`;
		const [{ names, rows, res }, json] = [await table(ada, range), await report(ada, range)];
		assert.equal(names[0], "date");
		assert.equal(names.length, 37);
		assert.match(res.headers["content-disposition"], /^attachment; filename="analytics-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.csv"$/);
		assert.deepEqual(rows.map((r) => r.date), json.byDay.map((d) => d.date));
		rows.forEach((row, i) => sameFigures(row, json.byDay[i]));
		assert.ok(rows.some((row) => Number(row.answers) > 0));
	});

	test("or for each agent; and what an agent is called stays a text", async () => {
		const dora = await Person.join(stack, "Dora Data");
		const names = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "Comma, Inc", 'The "Best"', "=HYPERLINK(\"x\",\"y\")", "＝1+1", "Zoë 客服 🙂", "'quoted", "a;b"];
		const hostile = ["\t=1", "\r=1", "two\r\nlines", "nul\u0000"];
		for (const name of names)
			await dora.conversation((await dora.agent({ name, companyName: name }))._id);
		for (const name of hostile) {		// whichever of them an agent may be called
			const res = await dora.post("/api/agents", { name, companyName: name, personality: "x", companyInfo: "x", prompts: [] });
			assert.ok([201, 400].includes(res.status), res.text);
		}
		const { rows, res } = await table(dora, "?by=agent");
		const json = await report(dora);
		assert.equal(rows.length, json.byAgent.length);
		rows.forEach((row, i) => {
			const { agentId, name, companyName } = json.byAgent[i];
			const harmless = (text) => (/^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text);
			assert.deepEqual([row.agent_id, row.agent, row.company], [agentId, name, companyName].map(harmless));
			sameFigures(row, json.byAgent[i]);
		});
		for (const name of names)
			assert.ok(json.byAgent.some((a) => a.name === name), name);
		assert.doesNotMatch(res.text, /(^|[,\n]|")[=+@＝]/);
	});
});
