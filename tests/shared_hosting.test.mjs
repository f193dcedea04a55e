// A shared host: without root and systemd, by spawn-fcgi and the lines of the crontab as they are shipped, below a prefix of
// a web server that belongs to somebody else.

import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { freePort, request, root, waitFor } from "./harness.mjs";
import { mainJob } from "./main_job.mjs";
import { reply, startUpstream } from "./upstream.mjs";

const BUILD = process.env.HELPLINE_BUILD ?? path.join(root, "build");
const PROGRAMS = ["auth", "chat", "desk", "events", "health", "pushd"];
const isRoot = process.getuid() === 0;
// Two users with nothing in common: whose site it is, and as whom the web server of the host runs.
const ada = isRoot ? { uid: 65531, gid: 65531 } : {};
const web = isRoot ? { uid: 65532, gid: 65532 } : {};

let home, folder, url, upstream, webServer;
const below = (name) => path.join(folder, name);

// As cron does it: a line of the file, by sh, with next to nothing in the environment.
const lines = readFileSync(path.join(root, "nginx/shared-hosting/crontab"), "utf8").split("\n").filter((l) => l && !l.startsWith("#"));
const lineOf = (when) => lines.find((l) => l.startsWith(when)).slice(when.length).trim();
const tools = () => path.join(home, "tools");

function shell(command) {
	const out = spawnSync("/bin/sh", ["-c", command], { ...ada, cwd: home, encoding: "utf8", timeout: 120_000,
		env: { HOME: home, LOGNAME: "ada", SHELL: "/bin/sh", PATH: `/usr/bin:/bin:${tools()}`, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "" } });
	return { ...out, text: out.stdout + out.stderr };
}

const keepRunning = (args) => shell(`$HOME/.local/share/helpline/nginx/shared-hosting/keep-running ${args}`);

function cron(when) {
	const out = shell(lineOf(when));
	assert.equal(out.status, 0, out.text);
	assert.equal(out.text.replace(/^==\d+==WARNING: ASan doesn't fully support makecontext.*\n/gm, ""), "", "cron would mail what a line prints");
}

// The processes whose home this is: by their environment, or by the title that took its place (Redis, nginx), or their parent's.
function processes() {
	const all = readdirSync("/proc").filter((p) => /^\d+$/.test(p)).flatMap((pid) => {
		try {
			const [environ, title, stat] = ["environ", "cmdline", "stat"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8"));
			const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
			return state === "Z" ? [] : [{ pid: Number(pid), parent: Number(parent), name: title.split("\0").filter(Boolean),
				own: environ.includes(`HOME=${home}\0`) || title.includes(`${home}/`) }];
		} catch {
			return [];		// gone, or somebody else's
		}
	});
	const own = new Set(all.filter((p) => p.own).map((p) => p.pid));
	return all.filter((p) => own.has(p.pid) || own.has(p.parent));
}
const programPid = (name) => processes().find((p) => p.name.length === 1 && p.name[0].endsWith(`libexec/helpline/${name}`))?.pid;

function killAll() {
	for (let left; (left = processes()).length > 0;)
		for (const { pid } of left)
			try {
				process.kill(pid, "SIGKILL");
			} catch { /* gone */ }
}

// The web server of the host, with the lines of the README.
async function startWebServer() {
	const port = await freePort();
	const dir = mkdtempSync("/tmp/helpline-web-");
	const [, snippet] = /For nginx:\n\n([\s\S]*?)\n\n {3}For Apache/.exec(readFileSync(path.join(root, "nginx/shared-hosting/README.md"), "utf8"));
	const temp = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"].map((n) => `${n}_temp_path ${n};`).join(" ");
	writeFileSync(path.join(dir, "nginx.conf"), `daemon off; pid nginx.pid; error_log stderr crit;\nevents { worker_connections 512; }
http { access_log off; ${temp}\nserver {\nlisten 127.0.0.1:${port};\nlocation / { return 200 "The host's own page"; }
${snippet.replaceAll("/home/ada/", `${home}/`)}\n}\n}\n`);
	if (isRoot)
		for (const name of [dir, path.join(dir, "nginx.conf")])
			chownSync(name, web.uid, web.gid);
	webServer = spawn("nginx", ["-e", "stderr", "-p", ".", "-c", "nginx.conf"], { ...web, cwd: dir, stdio: "ignore",
		env: { PATH: `${process.env.PATH}:/usr/sbin` } });
	webServer.dir = dir;
	url = `http://127.0.0.1:${port}`;
	await waitFor("the web server of the host", async () => (await request(url, "GET", "/")).text === "The host's own page");
}

const healthy = () => waitFor("Helpline is there", async () => (await request(url, "GET", "/support/ready")).status === 200);

before(async () => {
	upstream = await startUpstream();
	upstream.otherwise = reply("It takes three to five days, as our pages say.", { tokenDelay: 15 });
	home = mkdtempSync("/tmp/helpline-ada-");
	folder = path.join(home, "helpline");
	cpSync(path.join(BUILD, "stage"), path.join(home, ".local"), { recursive: true, verbatimSymlinks: true });
	mkdirSync(folder);
	mkdirSync(tools());
	if (spawnSync("redis-server", ["--version"]).status !== 0)	// redis-tools has it by another name
		writeFileSync(path.join(tools(), "redis-server"), "#!/bin/bash\nexec -a redis-server redis-check-rdb \"$@\"\n", { mode: 0o755 });
	writeFileSync(below("helpline.conf"), `OPENAI_BASE_URL=${upstream.url}\nOPENAI_API_KEY=sk-of-ada\nOPENAI_TTS_MODEL=none\n`, { mode: 0o600 });
	if (isRoot)
		for (const name of ["", "helpline", "helpline/helpline.conf", "tools"])
			chownSync(path.join(home, name), ada.uid, ada.gid);
	chmodSync(home, 0o711);
	await startWebServer();
});

after(async () => {
	if (home)
		killAll();
	webServer?.kill("SIGTERM");		// its workers go with it
	await upstream?.close?.();
	for (const dir of [home, webServer?.dir])
		if (dir && !process.env.HELPLINE_TEST_KEEP)
			rmSync(dir, { recursive: true, force: true });
});

describe("on a shared host", { skip: ["spawn-fcgi", "nginx"].find((p) => spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin; command -v ${p}`]).status !== 0) && "spawn-fcgi and nginx are not both installed" }, () => {
	let session;

	test("the crontab's line starts it, and the main job runs below the prefix", async () => {
		cron("* * * * *");
		await healthy();
		session = await mainJob(url, "/support");
		assert.equal((await request(url, "GET", "/")).text, "The host's own page");
		const page = await request(url, "GET", "/support/");
		assert.match(page.text, /<title>Helpline/);
		assert.equal((await request(url, "GET", "/support")).status, 301);
		assert.equal(keepRunning("--status").status, 0);
	});

	test("the line that comes every minute changes nothing that runs", () => {
		const pids = () => PROGRAMS.map(programPid);
		const first = pids();
		assert.ok(first.every(Boolean), String(first));
		cron("* * * * *");
		assert.deepEqual(pids(), first);
		assert.equal(keepRunning("--status").text.match(/ runs$/gm).length, PROGRAMS.length + 2);
		assert.equal(processes().filter((p) => p.name.some((w) => w.includes("redis-server"))).length, 1);
	});

	test("nobody else on the host reads what is kept, or speaks to the programs", { skip: !isRoot && "this needs a second user" }, async () => {
		const script = `for f in ${["secrets/seal.keys", "secrets/jwt", "helpline.conf", "log/chat.log", "redis/appendonlydir"].map(below).join(" ")}; do
			head -c 1 "$f" 2>/dev/null && exit 1; done; ls ${folder} 2>/dev/null && exit 1; exit 0`;
		assert.equal(spawnSync("sh", ["-c", script], { ...web }).status, 0);
		const probe = (socket) => spawnSync(process.execPath, ["-e",
			`require("net").connect(${JSON.stringify(below(socket))}).on("connect", () => process.exit(7)).on("error", () => process.exit(3))`], { ...web, cwd: "/" }).status;
		for (const socket of ["run/chat.sock", "run/events.sock", "run/front.sock", "run/redis.sock", "run/polls.sock"])
			assert.notEqual(probe(socket), 7, socket);
		await new Promise((resolve, reject) => net.connect(below("run/chat.sock"), resolve).on("error", reject).unref());
	});

	test("a program that is killed is back by itself, and no request fails", async () => {
		for (const name of ["chat", "pushd"]) {
			const pid = programPid(name);
			process.kill(pid, "SIGKILL");
			const res = await request(url, "POST", "/support/api/v1/chat/message", { body: { sessionId: session, userId: "visitor-1", message: `After ${name}` } });
			assert.equal(res.status, 200, res.text);
			await waitFor(`${name} is back`, () => ![undefined, pid].includes(programPid(name)));
		}
		await mainJob(url, "/support");
	});

	test("a restart under load fails nothing", async () => {
		const failed = [];
		let over = false, sent = 0;
		const customer = async (n) => {
			const { json: { sessionId } } = await request(url, "POST", "/support/api/v1/chat/session", { body: { userId: `visitor-${n}` } });
			while (!over) {
				const res = await request(url, "POST", "/support/api/v1/chat/message", { body: { sessionId, userId: `visitor-${n}`, message: `Question ${sent++}` } });
				if (res.status !== 200)
					failed.push(`${res.status} ${res.text}`);
			}
		};
		const customers = [1, 2, 3, 4].map(customer);
		await waitFor("requests go on", () => sent > 20);
		const former = PROGRAMS.map(programPid);
		const out = keepRunning("/support --restart");
		assert.equal(out.status, 0, out.text);
		await waitFor("all programs are others", () => PROGRAMS.every((name, i) => ![undefined, former[i]].includes(programPid(name))));
		const at = sent;
		await waitFor("requests go on", () => sent > at + 20);
		over = true;
		await Promise.all(customers);
		assert.deepEqual(failed, []);
		await mainJob(url, "/support");
	});

	test("every night the crontab's third line removes what nobody has any more; the programs count together", () => {
		cron("20 3 * * *");
		assert.match(readFileSync(below("log/sweep.log"), "utf8"), /^removed: recordings of 0 conversations/);
		assert.ok(existsSync(below("run/metrics")));
	});

	test("after the computer went down, the crontab's other line brings all of it back, with what was said", async () => {
		killAll();
		assert.ok(existsSync(below("run/chat.sock")), "what a power failure leaves behind is there");
		cron("@reboot");
		await healthy();
		const { json } = await request(url, "GET", `/support/api/v1/chat/history/${session}`);
		assert.ok(json.history.length >= 4);
		await mainJob(url, "/support");
	});

	test("what is wrong in the settings is in the log, and --stop ends everything", async () => {
		const out = keepRunning("--stop");
		assert.equal(out.status, 0, out.text);
		await waitFor("all has ended", () => processes().length === 0);
		assert.notEqual(keepRunning("--status").status, 0);
		assert.notEqual(keepRunning("").status, 0, "a prefix is needed");
		assert.match(keepRunning("'/a;b'").text, /characters/);
	});
});
