// What the programs count of themselves: Prometheus' own tool reads it, nothing is lost when a program is killed or replaced,
// nobody's words or names are in it; and how a request is followed from nginx to the model's server.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { startUpstream, reply, serverError } from "./upstream.mjs";
import { startStack, assertProblem, root, waitFor, unique } from "./harness.mjs";

const TOKEN = "a-token-of-prometheus-0123456789";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	upstream.otherwise = reply("Three days.");
	stack = await startStack({ upstream, env: { METRICS_TOKEN: TOKEN } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

const promtool = (...args) => {
	const { input } = args.at(-1);
	const found = spawnSync("promtool", args.slice(0, -1), { encoding: "utf8", input, cwd: path.join(root, "systemd/prometheus") });
	assert.equal(found.error, undefined, "promtool is there (./run packages test)");
	return found;
};

async function metrics(headers) {
	const res = await stack.get("/metrics", headers);
	assert.equal(res.status, 200, res.text);
	return res;
}

// The value of a series, its labels in the order in which they are written.
async function value(series) {
	const line = (await metrics()).text.split("\n").find((l) => l.startsWith(`${series} `));
	return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const counted = (series, n) => waitFor(`${series} is ${n}`, async () => (await value(series)) === n);

const MESSAGES = 'helpline_http_requests_total{program="chat",method="POST",route="/api/v1/chat/message",status="200"}';

test("promtool takes it, and it has what is to be watched", async () => {
	const before = await value(MESSAGES) ?? 0;	/* ./run asks something itself before it says that it is ready */
	const session = await stack.session();
	await stack.say(session, "How long does delivery take?");
	await stack.get("/api/v1/chat/nothing");
	await stack.get("/health");
	await counted(MESSAGES, before + 1);
	const { text, headers } = await metrics();
	assert.match(headers["content-type"], /^text\/plain; version=0\.0\.4/);
	const checked = promtool("check", "metrics", { input: text });
	assert.equal(checked.status, 0, checked.stdout + checked.stderr);
	assert.equal(checked.stdout + checked.stderr, "");
	for (const series of [`helpline_http_request_duration_seconds_count{program="chat",method="POST",route="/api/v1/chat/message"} ${before + 1}`,
		`helpline_turn_duration_seconds_count ${before + 1}`, "helpline_turn_first_words_seconds_count 1",
		'helpline_upstream_request_duration_seconds_count{provider="openai",outcome="ok"} 1', "helpline_upstream_requests_waiting 0",
		"helpline_turns_in_flight 0", "helpline_sockets 0", "helpline_calls 0", "helpline_turns_owed 0", "helpline_escalations_open 0",
		"helpline_store_up 1", 'helpline_processes{program="chat"} 1', 'helpline_processes{program="pushd"} 1',
		'helpline_redis_connected{program="desk"} 1', 'helpline_process_crashes_total{program="events"} 0'])
		assert.ok(text.split("\n").includes(series), `${series}\n${text}`);
	assert.match(text, /^helpline_build_info\{program="health",version="[^"]+"\} 1$/m);
	assert.match(text, /^helpline_redis_command_duration_seconds_bucket\{program="chat",le="0\.001"\} \d+$/m);
	for (const [, bytes] of text.matchAll(/^helpline_process_resident_memory_bytes\{program="\w+"\} (\d+)$/gm))
		assert.ok(Number(bytes) > 1e6, `${bytes} bytes`);
});

test("nothing of what people say or are is in it", async () => {
	const who = unique("visitor"), words = unique("secretword");
	const session = await stack.session(who, { name: "Grace Hopper" });
	await stack.message(session, `My order is ${words}`, { userId: who });
	await stack.get(`/api/v1/chat/history/${session}?userId=${who}`);
	await stack.get(`/api/v1/chat/${words}`);
	const { text } = await metrics();
	for (const secret of [who, words, session, "Hopper", "127.0.0.1", TOKEN])
		assert.ok(!text.includes(secret), secret);
});

test("only this computer is answered, and who has the token", async () => {
	const proxied = { "x-forwarded-for": "203.0.113.9" };
	for (const headers of [proxied, { forwarded: "for=203.0.113.9" }, { ...proxied, authorization: "Bearer wrong" },
		{ ...proxied, authorization: `Bearer ${TOKEN}x` }, { ...proxied, authorization: `Bearer ${TOKEN.slice(1)}` }, { ...proxied, authorization: "Bearer" },
		{ ...proxied, authorization: `Basic ${TOKEN}` }])
		assertProblem(await stack.get("/metrics", headers), 401, "Send METRICS_TOKEN as bearer token", JSON.stringify(headers));
	await metrics({ ...proxied, authorization: `Bearer ${TOKEN}` });
	assertProblem(await stack.post("/metrics", {}), 405);
});

test("what was counted outlives the program that counted it", async () => {
	const before = await value(MESSAGES), starts = await value('helpline_process_starts_total{program="chat"}');
	const crashes = await value('helpline_process_crashes_total{program="chat"}');
	await stack.kill("chat");
	const session = await stack.session();
	await stack.say(session, "Are you there?");
	await counted(MESSAGES, before + 1);
	await counted('helpline_process_crashes_total{program="chat"}', crashes + 1);
	await counted('helpline_process_starts_total{program="chat"}', starts + 1);
	assert.equal(await value('helpline_processes{program="chat"}'), 1);
	await stack.restart("chat");
	await stack.say(session, "And now?");
	await counted(MESSAGES, before + 2);
	await counted('helpline_process_crashes_total{program="chat"}', crashes + 1);
});

test("sockets, escalations and failures of the model are counted", async () => {
	const opened = await value("helpline_sockets_opened_total"), failed = await value('helpline_turns_total{outcome="escalated"}');
	const client = await stack.client();
	await client.join();
	await counted("helpline_sockets", 1);
	await counted("helpline_sockets_opened_total", opened + 1);
	assert.ok(await value('helpline_socket_events_total{outcome="answered"}') > 0);
	client.close();
	await counted("helpline_sockets", 0);
	upstream.next(...Array.from({ length: 12 }, () => serverError()));
	const session = await stack.session();
	await stack.message(session, "What do lamps cost?");
	await counted('helpline_turns_total{outcome="escalated"}', failed + 1);
	assert.equal(await value('helpline_escalations_total{reason="ai_unavailable"}'), 1);
	assert.ok(await value('helpline_upstream_request_duration_seconds_count{provider="openai",outcome="failed"}') >= 1);
	assert.equal(await value("helpline_escalations_open"), 1);
});

// ---- traces --------------------------------------------------------------------------------------------------------

const PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/;

let state;		// that came with the last
async function asked(headers) {
	upstream.next();
	const before = upstream.requests.length;
	const session = await stack.session();
	await stack.message(session, "How long does delivery take?", {}, headers);
	await upstream.arrived(before + 1);
	state = upstream.requests[before].headers.tracestate;
	return PARENT.exec(upstream.requests[before].headers.traceparent);
}

test("a trace goes on to the model's server and is in the log", async () => {
	await waitFor("the model is asked again", async () => {
		const before = upstream.requests.length;
		await stack.message(await stack.session(), "Are you back?");
		return upstream.requests.length > before;
	});
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736", parent = "00f067aa0ba902b7", request = unique("req");
	const sent = await asked({ traceparent: `00-${trace}-${parent}-01`, "x-request-id": request });
	assert.equal(sent[1], trace);
	assert.notEqual(sent[2], parent);
	assert.equal(sent[3], "01");
	const line = await waitFor("the line in the log", () => stack.log().split("\n").find((l) => l.includes(` trace=${trace}`) && l.includes("event=turn")));
	assert.ok(line.includes(` request_id=${request} `), line);
	assert.equal(line.match(/request_id=/g).length, 1);
});

test("a trace begins where there is none, or none that counts", async () => {
	const zero = "0".repeat(32), trace = "4bf92f3577b34da6a3ce929d0e0e4736", parent = "00f067aa0ba902b7";
	const seen = new Set();
	for (const header of [undefined, "", "x", `00-${zero}-${parent}-01`, `00-${trace}-${"0".repeat(16)}-01`, `ff-${trace}-${parent}-01`,
		`00-${trace.toUpperCase()}-${parent}-01`, `00-${trace}-${parent}-01-more`, `00-${trace}-${parent}`, `00-${trace}-${parent}-0g`]) {
		const sent = await asked(header === undefined ? {} : { traceparent: header });
		assert.ok(sent, `${header}: a header of our own`);
		assert.notEqual(sent[1], trace, header);
		assert.notEqual(sent[1], zero);
		assert.equal(sent[3], "00");
		seen.add(sent[1]);
	}
	assert.equal(seen.size, 10);
	assert.equal((await asked({ traceparent: `cc-${trace}-${parent}-01-what-comes-later` }))[1], trace, "a later version may have more");
});

test("what others keep for a trace goes on with it, as it came; without a trace it does not", async () => {
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	for (const tracestate of ["a=1", "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE,fw529a3039@dt=FfAAAA==", "a=1,,b= 2 "]) {
		await asked({ traceparent, tracestate });
		assert.equal(state, tracestate.trim());
	}
	const member = (n) => `k${n}=${"v".repeat(20 - String(n).length)}`;
	const many = (n, make) => Array.from({ length: n }, (_, i) => make(i));
	await asked({ traceparent, tracestate: many(40, (n) => `k${n}=1`).join(",") });
	assert.deepEqual(state.split(","), many(32, (n) => `k${n}=1`));
	await asked({ traceparent, tracestate: many(30, member).join(",") });
	assert.ok(state.length <= 512 && state.length > 490 && many(30, member).join(",").startsWith(`${state},`), state);
	for (const headers of [{ traceparent }, { tracestate: "a=1" }, { traceparent: "00-x", tracestate: "a=1" },
		{ traceparent, tracestate: `a=${"x".repeat(600)}` }, { traceparent, tracestate: "nothing" }]) {
		await asked(headers);
		assert.equal(state, undefined, JSON.stringify(headers));
	}
});

// ---- alerts --------------------------------------------------------------------------------------------------------

test("the rules for alerts are well formed, fire when they should, and only name what is counted", async () => {
	for (const args of [["check", "rules", "helpline.rules.yml"], ["test", "rules", "helpline.rules.test.yml"]]) {
		const done = promtool(...args, { input: "" });
		assert.equal(done.status, 0, done.stdout + done.stderr);
	}
	const { text } = await metrics();
	const { stdout } = spawnSync("grep", ["-ho", "helpline_[a-z_]*", "helpline.rules.yml"], { cwd: path.join(root, "systemd/prometheus"), encoding: "utf8" });
	const names = new Set(stdout.trim().split("\n"));
	assert.ok(names.size > 8);
	for (const name of names)
		assert.ok(text.includes(`# TYPE ${name.replace(/_(bucket|count|sum)$/, "")} `), `${name} is counted`);
});
