// ./run: what it says, what it leaves behind, whom it runs as.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync, rmSync, existsSync, statSync, readdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { Stack, startStack, runScript, newStateDir, freePort, modeOf, waitFor, run, root, environment, request, Redis, upstreamEnv } from "./harness.mjs";
import { startUpstream, invalidKey } from "./upstream.mjs";

const gone = (pid) => {
	try {
		process.kill(pid, 0);
		return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
	} catch {
		return true;
	}
};
const asRoot = process.getuid() === 0;

describe("a stack that runs", () => {
	let stack;
	before(async () => { stack = await startStack(); });
	after(() => stack?.stop());

	test("prints its address", () => {
		assert.match(stack.printed, /http:\/\/(?:localhost|127\.0\.0\.1):\d+/);
	});

	test("--status --json is an array of name, pid and restarts, with the Redis socket and the address", async () => {
		const status = await stack.status();
		assert.ok(Array.isArray(status));
		for (const name of ["redis", "nginx", "auth", "chat", "desk", "events", "health", "pushd"])
			assert.ok(status.some((p) => p.name === name), `${name} in ${JSON.stringify(status)}`);
		for (const p of status.filter((q) => q.pid !== undefined)) {
			assert.ok(typeof p.name === "string" && Number.isInteger(p.pid) && p.pid > 1 && Number.isInteger(p.restarts), JSON.stringify(p));
			process.kill(p.pid, 0);
		}
		assert.ok(status.every((p) => p.restarts === undefined || p.restarts === 0));
		const redis = await Redis.open(stack.redisSocket);
		assert.equal(await redis.call("PING"), "PONG");
		redis.close();
		assert.match(JSON.stringify(status), new RegExp(`http://[^"]*:${new URL(stack.url).port}`));
	});

	test("--status is for people", async () => {
		const out = await runScript(["--state-dir", stack.dir, "--status"]);
		assert.equal(out.status, 0);
		for (const name of ["redis", "nginx", "chat", "pushd"])
			assert.match(out.stdout, new RegExp(name));
	});

	test("nothing but the supervisor runs as root", { skip: !asRoot && "not started by root" }, async () => {
		for (const { name, pid } of (await stack.programs()).filter((p) => p.name !== "supervisor")) {
			const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1].split(/\s+/);
			assert.ok(!uids.includes("0"), `${name} has the user ids ${uids}`);
			const groups = /^Groups:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1].trim().split(/\s+/).filter(Boolean);
			assert.ok(!groups.includes("0"), `${name} has the groups ${groups}`);
		}
	});

	test("the state is for its owner only", () => {
		assert.equal(modeOf(stack.dir), 0o700);
		assert.equal(modeOf(path.join(stack.dir, "secrets")), 0o700);
		for (const file of readdirSync(path.join(stack.dir, "secrets")))
			assert.equal(modeOf(path.join(stack.dir, "secrets", file)), 0o600, file);
		for (const file of stack.files())
			assert.equal(statSync(file).mode & 0o002, 0, `${file} is writable by everybody`);
	});

	test("Redis listens on its socket alone, with an append-only file that is always written through", async () => {
		const redis = await stack.redis();
		const config = async (name) => (await redis.call("CONFIG", "GET", name))[1].toString();
		assert.equal(await config("port"), "0");
		assert.equal(await config("appendonly"), "yes");
		assert.equal(await config("appendfsync"), "always");
		assert.equal(await config("maxmemory-policy"), "noeviction");
	});

	test("a second start in the same folder is refused or joins, and harms nothing", async () => {
		const before = (await stack.programs()).map((p) => p.pid).sort();
		const out = await runScript(["--state-dir", stack.dir, "--detach"], { env: { PORT: String(await freePort()) } });
		assert.match(out.stdout + out.stderr, /running/i);
		assert.deepEqual((await stack.programs()).map((p) => p.pid).sort(), before);
		assert.equal((await stack.get("/health")).status, 200);
	});
});

test("--stop ends every program, and twice is as good as once", async () => {
	const stack = await startStack();
	const pids = (await stack.programs()).map((p) => p.pid);
	const out = await runScript(["--state-dir", stack.dir, "--stop"]);
	assert.equal(out.status, 0, out.stdout + out.stderr);
	assert.deepEqual(pids.filter((pid) => !gone(pid)), []);
	await assert.rejects(request(stack.url, "GET", "/health"));
	const again = await runScript(["--state-dir", stack.dir, "--stop"]);
	assert.match(again.stdout + again.stderr, /not running/i);
	const status = await runScript(["--state-dir", stack.dir, "--status", "--json"]);
	assert.ok(status.status !== 0 || JSON.parse(status.stdout).length === 0);
	stack.finish();
});

test("what was acknowledged survives a stop and a start, sealed with the same key", async () => {
	const first = await startStack();
	const id = await first.session();
	await first.say(id, "remember the bassoon");
	await runScript(["--state-dir", first.dir, "--stop"]);
	const second = await new Stack(first.dir, {}).start();
	try {
		assert.equal((await second.history(id))[0].content, "remember the bassoon");
		await second.say(id, "and go on");
	} finally {
		await second.stop();
	}
	first.finish();
});

test("without the keys of what is stored it does not start with new ones", async () => {
	const dir = newStateDir(), keys = path.join(dir, "secrets/seal.keys");
	const start = async () => runScript(["--state-dir", dir, "--port", String(await freePort()), "--detach"]);
	try {
		assert.equal((await start()).status, 0);
		assert.equal((await runScript(["--state-dir", dir, "--stop"])).status, 0);
		renameSync(keys, `${keys}.away`);
		const refused = await start();
		assert.notEqual(refused.status, 0);
		assert.match(refused.stdout + refused.stderr, /seal\.keys is gone from .*put it back/);
		assert.ok(!existsSync(keys));
		renameSync(`${keys}.away`, keys);
		assert.equal((await start()).status, 0);
	} finally {
		await runScript(["--state-dir", dir, "--stop"]);
		rmSync(dir, { recursive: true, force: true });
	}
});

test("check says what is wrong: with a model that refuses, and when nothing runs", async () => {
	const upstream = await startUpstream();
	const stack = await startStack({ upstream });
	const env = upstreamEnv(upstream);
	const check = (...more) => runScript(["check", "--state-dir", stack.dir, ...more], { env });
	const good = await check("--provider");
	assert.deepEqual([good.status, /WRONG/.test(good.stdout)], [0, false], good.stdout + good.stderr);
	upstream.otherwise = invalidKey();
	const refused = await check("--provider");
	assert.equal(refused.status, 1);
	assert.match(refused.stdout, /WRONG {2}The model does not answer: .*401 invalid_api_key/);
	await runScript(["--state-dir", stack.dir, "--stop"]);
	const stopped = await check();
	assert.equal(stopped.status, 1);
	assert.deepEqual(stopped.stdout.match(/WRONG.*/g), ["WRONG  Helpline is not running"], stopped.stdout);
	await stack.stop();
	await upstream.close();
});

test("a taken port is reported, or the next free one is used", async () => {
	const port = await freePort();
	const server = net.createServer();
	await new Promise((resolve) => { server.listen(port, "127.0.0.1", resolve); });
	const dir = newStateDir();
	try {
		const out = await runScript(["--state-dir", dir, "--port", String(port), "--detach"]);
		assert.match(out.stdout + out.stderr, new RegExp(String(port)), "it names the port");
		if (out.status === 0) {
			const url = /https?:\/\/[^\s/]+:(\d+)/.exec(out.stdout + out.stderr);
			assert.notEqual(Number(url[1]), port);
			assert.equal((await request(url[0], "GET", "/health")).status, 200);
		}
	} finally {
		await runScript(["--state-dir", dir, "--stop"]);
		server.close();
		rmSync(dir, { recursive: true, force: true });
	}
});

test("a setting that cannot be right is named, and nothing is left running", async () => {
	for (const [name, value] of Object.entries({ MAX_CONVERSATION_HISTORY: "many", SESSION_TIMEOUT: "-5", ESCALATION_CONFIDENCE: "2", OPENAI_BASE_URL: "not a url", RATE_LIMITS: "perhaps",
		FRONTEND_URL: "no origin", KNOWLEDGE_PATH: "/no/such/folder", LOG_LEVEL: "verbose", TURN_TIMEOUT: "1e99" })) {
		const dir = newStateDir();
		const out = await runScript(["--state-dir", dir, "--port", String(await freePort()), "--detach"], { env: { [name]: value } });
		await runScript(["--state-dir", dir, "--stop"]);
		rmSync(dir, { recursive: true, force: true });
		assert.notEqual(out.status, 0, `${name}=${value}`);
		assert.match(out.stdout + out.stderr, new RegExp(name), `${name}=${value}`);
	}
});

test("where too few files may be open it says so", async () => {
	const dir = newStateDir();
	const out = spawnSync("bash", ["-c", `ulimit -n 150; exec "$0" --state-dir "${dir}" --detach`, run],
		{ env: environment(), encoding: "utf8", timeout: 60_000 });
	rmSync(dir, { recursive: true, force: true });
	assert.notEqual(out.status, 0);
	assert.match(out.stdout + out.stderr, /too few files may be open.*ulimit -n/);
});

test("an unknown option is refused with a sentence", async () => {
	for (const args of [["--nonsense"], ["--port"], ["--port", "x"], ["--port", "99999"], ["nonsense"]]) {
		const out = await runScript(args, { ms: 10_000 });
		assert.ok(Number.isInteger(out.status) && out.status !== 0, `${args}: ${out.status}`);
		assert.ok((out.stdout + out.stderr).trim().length > 0);
		assert.match(out.stderr, /^\.\/run: .*\n$/);
	}
});

test("--help names every option", async () => {
	const out = await runScript(["--help"], { ms: 10_000 });
	assert.equal(out.status, 0);
	for (const option of ["--port", "--state-dir", "--detach", "--status", "--json", "--stop", "test", "bench"])
		assert.ok(out.stdout.includes(option), option);
});

test("bench and fault say how they are used", () => {
	for (const name of ["bench", "fault"]) {
		const ask = (option) => spawnSync(process.execPath, [path.join(root, "tests", name, "run.mjs"), option], { encoding: "utf8" });
		const usage = new RegExp(`^usage: \\./run ${name} `, "m");
		const help = ask("--help"), wrong = ask("--nonsense");
		assert.deepEqual([help.status, wrong.status], [0, 2]);
		assert.match(help.stdout, usage);
		assert.match(wrong.stderr, /Unknown option '--nonsense'/);
		assert.match(wrong.stderr, usage);
		assert.doesNotMatch(wrong.stderr, /^ +at /m);
	}
});

test("settings come from .env, and the environment wins", async () => {
	const place = newStateDir();
	copyFileSync(run, path.join(place, "run"));
	writeFileSync(path.join(place, ".env"), "# a comment\nexport NODE_ENV=from-the-file\nESCALATION_KEYWORDS=\"bassoon, tuba\"\r\nMAX_MESSAGE_BYTES=100\n", { mode: 0o600 });
	const dir = path.join(place, "state");
	const env = environment({ MAX_MESSAGE_BYTES: "200" });
	for (const name of ["APP_ENV", "ESCALATION_KEYWORDS"])
		delete env[name];
	const own = (...args) => spawnSync(path.join(place, "run"), ["--state-dir", dir, ...args], { env, encoding: "utf8" });
	try {
		const out = own("--port", "0", "--detach");
		assert.equal(out.status, 0, out.stderr);
		const stack = new Stack(dir, {});
		stack.url = /http:\/\/[^\s/]+/.exec(out.stdout + out.stderr)[0];
		assert.equal((await stack.get("/health")).json.environment, "from-the-file");
		assert.equal((await stack.say(await stack.session(), "my tuba")).escalation?.reason, "keyword");
		assert.equal((await stack.message(await stack.session(), "x".repeat(150))).status, 200);
		assert.ok([400, 413].includes((await stack.message(await stack.session(), "x".repeat(250))).status));
	} finally {
		own("--stop");
		rmSync(place, { recursive: true, force: true });
	}
});

test("a line of .env that cannot be understood is told with its number", async () => {
	const place = newStateDir();
	copyFileSync(run, path.join(place, "run"));
	writeFileSync(path.join(place, ".env"), "NODE_ENV=x\n\nthis is no setting\n");
	const out = spawnSync(path.join(place, "run"), ["--state-dir", path.join(place, "state"), "--port", "0", "--detach"], { env: environment(), encoding: "utf8" });
	assert.notEqual(out.status, 0);
	assert.match(out.stdout + out.stderr, /\b3\b/);
	rmSync(place, { recursive: true, force: true });
});

test("folders with spaces, and longer than a socket's name may be", async () => {
	const parent = newStateDir();
	const dir = path.join(parent, "with a space", "x".repeat(100), "y".repeat(60));
	mkdirSync(path.dirname(dir), { recursive: true });
	const stack = await startStack({ stateDir: dir });
	try {
		assert.ok((await stack.say(await stack.session(), "hello")).response);
		const client = await stack.client();
		assert.ok(await client.join());
	} finally {
		await stack.stop();
		rmSync(parent, { recursive: true, force: true });
	}
});

test("in the foreground, Ctrl-C ends everything", async () => {
	const dir = newStateDir();
	const port = await freePort();
	const child = spawn(run, ["--state-dir", dir, "--port", String(port)], { env: environment(), cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
	let text = "";
	child.stdout.on("data", (data) => { text += data; });
	child.stderr.on("data", (data) => { text += data; });
	const ended = new Promise((resolve) => { child.on("exit", (status, signal) => resolve({ status, signal })); });
	try {
		await waitFor(`the address is printed: ${text}`, () => text.includes(`:${port}`) && request(`http://127.0.0.1:${port}`, "GET", "/ready").then((r) => r.status === 200), { ms: 60_000 });
		const stack = new Stack(dir, {});
		const pids = (await stack.programs()).map((p) => p.pid);
		assert.ok(pids.length >= 6);
		const second = await runScript(["--state-dir", dir]);
		assert.deepEqual([second.status, second.stderr], [0, ""]);
		assert.match(second.stdout, new RegExp(`already running at http://127.0.0.1:${port} `));
		process.kill(-child.pid, "SIGINT");
		assert.deepEqual(await ended, { status: 0, signal: null }, text);
		await waitFor("every program has ended", () => pids.every(gone));
	} finally {
		await runScript(["--state-dir", dir, "--stop"]);
		rmSync(dir, { recursive: true, force: true });
	}
});

test("a start that was killed half-way does not hinder the next one", async () => {
	const stack = await startStack();
	for (const { pid } of await stack.programs())
		process.kill(pid, "SIGKILL");
	await runScript(["--state-dir", stack.dir, "--stop"]);
	assert.ok(existsSync(stack.dir));
	const again = await new Stack(stack.dir, {}).start();
	assert.equal((await again.get("/ready")).status, 200);
	await again.stop();
	stack.finish();
});
