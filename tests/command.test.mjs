// The administrator's command: settings and where they were read, what check finds, JSON for programs, completion.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { ISO, environment, root, startStack, waitFor } from "./harness.mjs";

const build = process.env.HELPLINE_BUILD;
const folder = mkdtempSync(path.join(tmpdir(), "helpline-command-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const plain = { PATH: process.env.PATH, HOME: folder, LANG: "C.UTF-8" };
const run = (program, args, env = {}, input = "") =>
	spawnSync(path.join(build, program), args, { encoding: "utf8", env: { ...plain, ...env }, input, timeout: 60_000 });

function settings(text, mode = 0o640) {
	const file = path.join(folder, "helpline.conf");
	writeFileSync(file, text);
	chmodSync(file, mode);
	return file;
}

// ---- settings ------------------------------------------------------------------------------------------------------

test("no program starts with a wrong settings file: it says which setting, where it was read and what is allowed", () => {
	const wrong = [
		["MAX_FILE_SIZE=9GB\n", 0o640, /MAX_FILE_SIZE is "9GB" \(\/.*helpline\.conf, line 1\): it must be a size like 5MB/],
		["# one\nSPEECH_API_KEY=sk-hidden\n", 0o640, /SPEECH_API_KEY \(.*line 2\) contradicts SPEECH_BASE_URL \(default\): /],
		["OPENAI_API_KEY=sk-hidden\n", 0o644, /helpline\.conf can be read by anybody, and OPENAI_API_KEY in it is a secret: chmod 640 it/],
		["LOG_LEVEL=info\n", 0o666, /helpline\.conf can be written by anybody: chmod 640 it/],
		["LOG_LEVL=info\n", 0o640, /line 1: LOG_LEVL is no setting; is LOG_LEVEL meant\?/],
		["PORT=1\nPORT=2\n", 0o640, /line 2: PORT is set a second time; line 1 has it already/],
		["what is this\n", 0o640, /line 1: expected NAME=VALUE/],
		["LOG_LEVEL=in\0fo\n", 0o640, /is no text: it holds a zero byte/],
	];
	for (const [text, mode, sentence] of wrong) {
		const env = { HELPLINE_CONFIG: settings(text, mode) };
		for (const program of ["auth", "chat", "desk", "events", "health", "pushd"]) {
			const out = run(program, [], env);
			assert.equal(out.status, 2, program + out.stderr);
			assert.match(out.stderr, sentence);
			assert.ok(out.stderr.startsWith(`${program}: `), out.stderr);
			assert.doesNotMatch(out.stderr, /sk-hidden/);
		}
		const tested = run("helpline", ["config", "test"], env);
		assert.deepEqual([tested.status, tested.stderr], [1, ""]);
		assert.match(tested.stdout, sentence);
	}
	for (const [file, sentence] of [[path.join(folder, "none"), /none cannot be read: No such file or directory/],
		[folder, /is not a file/]])
		assert.match(run("chat", [], { HELPLINE_CONFIG: file }).stderr, sentence);
	if (process.getuid() !== 0)
		assert.match(run("chat", [], { HELPLINE_CONFIG: settings("", 0o000) }).stderr, /cannot be read: Permission denied/);
});

test("config test tells all that is wrong at once, and in JSON by setting, place and what is allowed", () => {
	const file = settings("PORT=x\nTURN_TIMEOUT=1\n");
	const out = run("helpline", ["config", "test", "--json"], { HELPLINE_CONFIG: file, LOG_LEVEL: "loud", REDIS_PROT: "6380" });
	const found = JSON.parse(out.stdout);
	assert.equal(out.status, 1);
	assert.deepEqual(found.slice(0, 3).map((f) => [f.setting, f.where, f.allowed]), [
		["PORT", `${file}, line 1`, "a whole number from 1 to 65535"],
		["TURN_TIMEOUT", `${file}, line 2`, "a whole number from 100 to 600000"],
		["LOG_LEVEL", "from the environment", "error, warn, info or debug"],
	]);
	assert.match(found[3].problem, /REDIS_PROT is no setting; is REDIS_PORT meant\?/);
	const good = run("helpline", ["config", "test"], { HELPLINE_CONFIG: settings("PORT=80\n") });
	assert.deepEqual([good.status, good.stdout.slice(0, 4)], [0, "ok  "]);
	assert.deepEqual(JSON.parse(run("helpline", ["config", "test", "--json"], { HELPLINE_CONFIG: file.replace(/$/, "") }).stdout), []);
});

test("config dump says where each value was read, and shows no secret; the environment wins over the file", () => {
	const file = settings("PORT=81\nOPENAI_MODEL=from-file\nREDIS_URL=redis://:hunter2@127.0.0.1:1\nNODE_ENV=production\n");
	const env = { HELPLINE_CONFIG: file, OPENAI_MODEL: "from-environment" };
	const all = Object.fromEntries(JSON.parse(run("helpline", ["config", "dump", "--json"], env).stdout).map((s) => [s.name, s]));
	assert.deepEqual(all.PORT, { name: "PORT", value: "81", hidden: false, from: "file", file, line: 1 });
	assert.deepEqual(all.OPENAI_MODEL, { name: "OPENAI_MODEL", value: "from-environment", hidden: false, from: "environment" });
	assert.deepEqual(all.REDIS_URL, { name: "REDIS_URL", value: null, hidden: true, from: "file", file, line: 3 });
	assert.deepEqual([all.APP_ENV.value, all.APP_ENV.line], ["production", 4]);
	assert.equal(all.TURN_TIMEOUT.from, "default");
	const text = run("helpline", ["config", "dump"], env).stdout;
	assert.match(text, /^PORT=81\t# \/.*, line 1$/m);
	assert.doesNotMatch(text, /hunter2/);
	const other = path.join(folder, "other.env");
	writeFileSync(other, "PORT=82\n");
	assert.match(run("helpline", ["config", "dump", "--env-file", other], { HELPLINE_CONFIG: file }).stdout, /^PORT=82\t/m);
});

test("config explain knows each setting, also by its old name, and says what a misspelt one may mean", () => {
	const [one] = JSON.parse(run("helpline", ["config", "explain", "PORT", "--json"]).stdout);
	assert.deepEqual([one.name, one.default, one.min, one.max, one.secret], ["PORT", "3000", 1, 65535, false]);
	assert.match(run("helpline", ["config", "explain", "NODE_ENV"]).stdout, /^APP_ENV=/);
	const wrong = run("helpline", ["config", "explain", "REDIS_PROT"]);
	assert.equal(wrong.status, 1);
	assert.match(wrong.stderr, /REDIS_PROT is no setting; is REDIS_PORT meant\?/);
	for (const args of [[], ["dump", "PORT"], ["explain", "--json", "--mdoc"], ["env", "--json"], ["test", "-0"], ["nonsense"]])
		assert.equal(run("helpline", ["config", ...args]).status, 2, args.join(" "));
});

test("what there is not is said by its name", () => {
	const out = run("helpline", ["chekc"]);
	assert.deepEqual([out.status, out.stdout, out.stderr], [2, "", "helpline: there is no command chekc; helpline --help lists them all\n"]);
	assert.match(run("helpline", []).stderr, /^usage: helpline COMMAND/);
});

// ---- a running system ------------------------------------------------------------------------------------------------

let stack;
before(async () => { stack = await startStack(); });
after(() => stack?.stop());

const ask = (...args) => run("helpline", [...args, "--state-dir", stack.dir, "--json"], environment());
const check = () => {
	const out = ask("check");
	return { status: out.status, ...JSON.parse(out.stdout) };
};
const wrong = (found) => found.findings.filter((f) => f.level === "wrong").map((f) => f.check);

test("check finds nothing wrong with what ./run started, and then what is broken, with a remedy", async () => {
	const good = check();
	assert.deepEqual([good.status, good.ok, wrong(good)], [0, true, []]);
	for (const name of ["redis.reached", "redis.version", "redis.persistence", "redis.fsync", "redis.eviction", "redis.memory",
		"clock.redis", "secrets.keys", "secrets.tokens", "socket"])
		assert.ok(good.findings.some((f) => f.check === name && f.level === "ok" && f.remedy === null), name);
	const redis = await stack.redis();
	for (const [setting, value, usual, name] of [["appendfsync", "everysec", "always", "redis.fsync"],
		["maxmemory-policy", "allkeys-lru", "noeviction", "redis.eviction"], ["appendonly", "no", "yes", "redis.persistence"]]) {
		await redis.call("CONFIG", "SET", setting, value);
		const bad = check();
		assert.deepEqual([bad.status, bad.ok, wrong(bad)], [1, false, [name]]);
		assert.match(bad.findings.find((f) => f.check === name).remedy, new RegExp(setting));
		await redis.call("CONFIG", "SET", setting, usual);
	}
	const [, limit] = await redis.call("CONFIG", "GET", "maxmemory");
	await redis.call("CONFIG", "SET", "maxmemory", "0");
	assert.deepEqual(wrong(check()), ["redis.memory"]);
	await redis.call("CONFIG", "SET", "maxmemory", String(limit));
	await redis.call("REPLICAOF", "127.0.0.1", "1");
	assert.deepEqual(wrong(check()), ["redis.role"]);
	await redis.call("REPLICAOF", "NO", "ONE");
	await waitFor("Redis has written its new append-only file", () => check().ok);
});

test("check finds weak secrets, settings that cannot work together and those that nothing takes", () => {
	const out = run("helpline", ["check", "--state-dir", stack.dir, "--json"], environment({ JWT_SECRET: "a".repeat(40),
		LIVEKIT_URL: "wss://calls.example.com", MAX_MESSAGE_BYTES: "100000", SOCKET_MAX_PAYLOAD: "2048", REDIS_REPLICAS: "1" }));
	assert.deepEqual(wrong(JSON.parse(out.stdout)).sort(), ["redis.replicas", "secrets.tokens", "settings.livekit", "settings.sizes"]);
	const bad = run("helpline", ["check", "--json"], { HELPLINE_CONFIG: settings("PORT=x\nLOG_LEVEL=loud\n") });
	const found = JSON.parse(bad.stdout);
	assert.deepEqual([bad.status, found.wrong, wrong(found)], [1, 2, ["settings.value", "settings.value"]]);
});

test("check sees in nginx's own words what would keep streams back, and sockets that nobody made", () => {
	const conf = (more) => {
		const file = path.join(folder, "nginx.conf");
		writeFileSync(file, `pid ${folder}/nginx.pid;\nerror_log stderr;\nevents { worker_connections 100; }\nhttp {\n` +
			`\taccess_log off;\n${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((n) => `\t${n}_temp_path ${folder}/t;\n`).join("")}` +
			`\tupstream helpline_chat {\n\t\tserver unix:${folder}/helpline/chat.sock max_fails=0;\n\t}\n` +
			`\tserver {\n\t\tlisten unix:${folder}/front;\n\t\tlocation / {\n\t\t\tfastcgi_pass helpline_chat;\n\t\t\t${more}\n\t\t}\n\t}\n}\n`);
		const out = run("helpline", ["check", "--json", "--nginx-conf", file], { REDIS_SOCKET: "/nowhere" });
		return JSON.parse(out.stdout).findings.filter((f) => f.check.startsWith("nginx."));
	};
	const seen = conf("");
	assert.deepEqual(seen.filter((f) => f.level === "wrong").map((f) => f.check), ["nginx.socket"], JSON.stringify(seen));
	assert.match(seen[0].text, /cannot connect to .*chat\.sock: it is not there/);
	assert.ok(seen.some((f) => f.check === "nginx.connections" && /100 connections/.test(f.text)));
	assert.match(conf("fastcgi_ignore_headers X-Accel-Buffering;").find((f) => f.check === "nginx.buffering").text, /keeps streamed answers back/);
	assert.ok(conf("gzip on; gzip_types text/plain text/event-stream;").some((f) => f.check === "nginx.buffering"));
	const shown = conf("nonsense on;")[0];
	assert.deepEqual([shown.check, shown.level], ["nginx.shown", process.getuid() === 0 ? "wrong" : "unknown"]);
});

test("accounts, keys and tokens are JSON for programs", () => {
	const add = run("helpline", ["users", "add", "--email", "Ada@Example.com", "--name", "Ada \"L\"", "--admin", "--json",
		"--state-dir", stack.dir], environment(), "\n");
	const ada = JSON.parse(add.stdout);
	assert.deepEqual([ada.email, ada.name, ada.role], ["ada@example.com", "Ada \"L\"", "admin"]);
	assert.ok(ada.password.length >= 16);
	const [listed, ...none] = JSON.parse(ask("users", "list").stdout);
	assert.deepEqual([listed.id, listed.email, listed.role, listed.password, none], [ada.id, ada.email, "admin", undefined, []]);
	assert.match(listed.createdAt, ISO);
	assert.equal(JSON.parse(ask("users", "set-role", "--email", ada.email, "--role", "user").stdout).role, "user");
	assert.equal(JSON.parse(ask("users", "set-role", "--email", ada.email, "--role", "admin").stdout).role, "admin");

	const key = JSON.parse(ask("keys", "add", "--name", "worker").stdout);
	assert.deepEqual([key.name, key.owner], ["worker", ada.email]);
	assert.ok(key.key.length > 20);
	const [kept] = JSON.parse(ask("keys", "list").stdout);
	assert.deepEqual([kept.name, kept.owner, kept.lastUsedAt, kept.key], ["worker", ada.email, null, undefined]);
	assert.deepEqual(JSON.parse(ask("keys", "remove", "--name", "worker").stdout), { name: "worker", owner: ada.email, removed: true });
	assert.deepEqual(JSON.parse(ask("keys", "list").stdout), []);

	const token = JSON.parse(ask("token", "--user", "ops", "--expires", "2m").stdout);
	assert.deepEqual([token.user, token.role, token.expiresIn, token.token.split(".").length], ["ops", "admin", 120, 3]);
	const secrets = path.join(folder, "secrets");
	assert.deepEqual(JSON.parse(run("helpline", ["keys", "init", "--dir", secrets, "--json"]).stdout), { dir: secrets });
	const own = run("helpline", ["token", "--user", "ops", "--json"], { HELPLINE_SECRETS: secrets });
	assert.equal(JSON.parse(own.stdout).user, "ops", own.stderr);
	const fault = ask("users", "set-role", "--email", "nobody@example.com", "--role", "user");
	assert.deepEqual([fault.status, fault.stdout], [1, ""]);
});

test("a probe, a restart and the end are JSON, too", async () => {
	const probe = JSON.parse(run("helpline", ["probe", "--address", stack.url, "--secrets", path.join(stack.dir, "secrets"), "--json"]).stdout);
	assert.equal(probe.answered, true);
	assert.ok(probe.ms >= 0);
	const restart = spawn(path.join(build, "helpline"), ["restart", "health", "--state-dir", stack.dir, "--json"], { env: plain });
	let said = "";
	restart.stdout.on("data", (data) => { said += data; });
	await new Promise((resolve) => { restart.on("close", resolve); });
	assert.deepEqual(JSON.parse(said), { restarted: true });
	await stack.stop();
	assert.deepEqual(JSON.parse(ask("stop").stdout), { stopped: false });
	assert.deepEqual(JSON.parse(ask("restart").stdout), { restarted: false });
	assert.deepEqual(JSON.parse(ask("status").stdout), []);
});

// ---- completion ------------------------------------------------------------------------------------------------------

// What bash offers for the last of the words, with the function that it calls itself.
function offered(...words) {
	const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
		compopt() { :; }; $(complete -p helpline | sed 's/.*-F \\([^ ]*\\).*/\\1/') helpline "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
		printf '%s\\n' "\${COMPREPLY[@]}"`;
	const out = spawnSync("bash", ["--norc", "--noprofile", "-c", script, "bash", path.join(root, "fcgi/helpline/completion/helpline"),
		"helpline", ...words], { encoding: "utf8", env: { ...plain, PATH: `${build}:${plain.PATH}` } });
	assert.equal(out.stderr, "");
	return out.stdout.split("\n").filter(Boolean);
}

test("each subcommand says with --help how it is used", () => {
	for (const [, name, rest] of run("helpline", ["--help"]).stdout.matchAll(/^ {2}helpline ([a-z]+) (.*)$/gm))
		for (const words of [[name, "--help"], [name, "list", "--help"]]) {
			const out = run("helpline", words);
			assert.deepEqual([out.status, out.stderr, out.stdout.split("\n")[0]], [0, "", `  helpline ${name} ${rest}`], words.join(" "));
		}
});

test("bash completes subcommands, options and their values, as --help has them", () => {
	const commands = [...run("helpline", ["--help"]).stdout.matchAll(/^ {2}helpline ([a-z-]+) /gm)].map((m) => m[1]);
	assert.deepEqual(offered("").sort(), [...new Set([...commands.filter((c) => !c.startsWith("-")), "--help", "--version"])].sort());
	assert.deepEqual(offered("conf"), ["config"]);
	assert.deepEqual(offered("config", ""), ["dump", "explain", "test", "env"]);
	assert.deepEqual(offered("users", "").sort(), ["add", "list", "password", "set-role"]);
	assert.deepEqual(offered("keys", "").sort(), ["add", "init", "list", "remove"]);
	assert.deepEqual(offered("users", "set-role", "--role", ""), ["admin", "user"]);
	assert.deepEqual(offered("check", "--json", "--pro"), ["--provider"]);
	assert.deepEqual(offered("config", "explain", "REDIS_PO"), ["REDIS_PORT"]);
	assert.deepEqual(offered("restart", "pu"), ["pushd"]);
	mkdirSync(path.join(folder, "a folder"), { recursive: true });
	assert.deepEqual(offered("check", "--state-dir", path.join(folder, "a f")), [path.join(folder, "a folder")]);
	assert.deepEqual(offered("users", "add", "--name", ""), []);
	assert.deepEqual(offered("nonsense", ""), []);
});

test("Tab completes in a terminal", async () => {
	const file = path.join(root, "fcgi/helpline/completion/helpline");
	const child = spawn("script", ["-qec", "bash --norc --noprofile -i", "/dev/null"],
		{ env: { ...plain, PATH: `${build}:${plain.PATH}`, TERM: "dumb", PS1: "> " } });
	let seen = "";
	child.stdout.on("data", (data) => { seen += data; });
	child.stdin.write(`source ${file}; echo "re"ady\n`);
	await waitFor("bash has read it", () => /^ready/m.test(seen));
	child.stdin.write("helpline conf\texpl\tREDIS_PO\t\n");
	await waitFor("it is completed", () => /Its port\./.test(seen));
	child.stdin.write("exit\n");
	await new Promise((resolve) => { child.on("close", resolve); });
	assert.match(seen, /helpline config explain REDIS_PORT/);
});
