// The Debian package, in a host of its own with a running nginx that has another site: installed by editing the settings file alone,
// upgraded under load without a failed request, removed without losing anything, purged without leaving anything. HELPLINE_PACKAGE
// names a package that is to be tried; otherwise ./run package makes it.

import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { containerMissing, startContainer } from "./container.mjs";
import { startUpstream, reply } from "./upstream.mjs";
import { environment, pause, request, run, unique, waitFor } from "./harness.mjs";

const PACKAGE_MAX = 2 * 1024 * 1024;
const FIRST_ANSWER_MS = 60_000;
const UPGRADES = 10;
const CLIENTS = 6;
const HELPLINE = { host: "support.example.com" };
const OTHER = { host: "other.example.com" };

const missing = containerMissing();
let box, base, upstream, deb;
const dir = mkdtempSync(path.join(tmpdir(), "helpline-package-"));

function local(command, args, options = {}) {
	const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
	assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
	return stdout;
}

// The same package under a later version; change(folder) may make more of it others.
function successor(version, change = () => {}) {
	const tree = path.join(dir, version);
	local("dpkg-deb", ["-R", deb, tree]);
	const control = path.join(tree, "DEBIAN/control");
	writeFileSync(control, readFileSync(control, "utf8").replace(/^Version: .*$/m, `Version: ${version}`));
	change(tree);
	const made = path.join(dir, `helpline_${version}.deb`);
	local("dpkg-deb", ["--root-owner-group", "-Zgzip", "-z1", "-b", tree, made]);
	rmSync(tree, { recursive: true });
	return made;
}

// apt puts a service's start off; what it says is shown when it fails.
async function apt(words, file) {
	if (file)
		box.copy(file, "/var/tmp/helpline.deb");
	const { status, stdout, stderr } = await box.shell(`apt-get -o DPkg::Lock::Timeout=60 ${words} -y -q --no-install-recommends </dev/null`);
	assert.equal(status, 0, `apt-get ${words}: ${stdout}${stderr}\n${box.journal("helpline-*").slice(-4000)}`);
	return stdout + stderr;
}

// Everything of nginx's but our own folder and site, and which workers serve it.
const sites = () => box.sh("cd /etc/nginx && find . -path ./helpline -prune -o -path ./sites-available/helpline -prune -o -type f -exec sha256sum {} + | sort; ls -l sites-enabled");
const workers = () => box.sh("pgrep -P $(cat /run/nginx.pid) | sort").trim();
const ours = (kind) => box.sh(`systemctl list-units --plain --no-legend --state=active '${kind}' | cut -d ' ' -f 1`).split("\n").filter(Boolean);

// fresh: where nginx was reloaded or stopped just before, and closes the connections that there were.
async function ask({ fresh = false } = {}) {
	const userId = unique("u");
	const session = await request(base, "POST", "/api/v1/chat/session", { body: { userId }, headers: HELPLINE, fresh });
	assert.equal(session.status, 200, session.text);
	const { sessionId } = session.json;
	const answer = await request(base, "POST", "/api/v1/chat/message", { body: { sessionId, userId, message: "How long does delivery take?" }, headers: HELPLINE, fresh });
	assert.equal(answer.status, 200, answer.text);
	return { sessionId, userId, response: answer.json.response };
}

const history = async ({ sessionId }) =>
	(await request(base, "GET", `/api/v1/chat/history/${sessionId}`, { headers: HELPLINE, fresh: true })).json?.history;

describe("the Debian package", { skip: missing }, () => {
	before(async () => {
		deb = process.env.HELPLINE_PACKAGE ?? local(run, ["package"], { env: environment() }).trim();
		upstream = await startUpstream({ otherwise: () => reply("Three days.", { delay: 150 }) });
		box = await startContainer({ hosts: ["nginx.service"] });
		// An nginx with a site of its own, and a Redis, if none is there: redis-tools has the server, too.
		box.write("/etc/nginx/sites-enabled/other", "server { listen 80; server_name other.example.com; return 200 other; }\n");
		box.sh(`ln -s "$(command -v redis-check-rdb)" /run/redis-server
			redis-cli ping || { mkdir /var/tmp/redis && /run/redis-server --daemonize yes --port 6379 --bind 127.0.0.1 --dir /var/tmp/redis; }
			systemctl restart nginx
			rm -rf /usr/sbin/policy-rc.d /usr/local/bin/helpline /var/lib/apt/lists`);
		// The first is of images of Debian, the second may be a developer's; lists are of no use where there is no network.
		base = await box.reach(80);
		await waitFor("the other site", async () => (await request(base, "GET", "/", { headers: OTHER })).text === "other");
	}, { timeout: 240_000 });

	after(async () => {
		await box?.stop();
		await upstream?.close();
		rmSync(dir, { recursive: true, force: true });
	});

	test("it is small, and brings no file that others could change or that it does not own", () => {
		assert.ok(statSync(deb).size <= PACKAGE_MAX, `${statSync(deb).size} bytes`);
		for (const line of local("dpkg-deb", ["-c", deb]).trim().split("\n"))
			assert.match(line, /^[-dl]rw.r-.r-[x-] root\/root |^lrwxrwxrwx root\/root /, line);
	});

	test("installed, it starts nothing, touches no site, and lets nginx be", async () => {
		const [before, pids] = [sites(), workers()];
		const began = Date.now();
		const said = await apt("install /var/tmp/helpline.deb", deb);
		assert.match(said, /README\.Debian/);
		assert.deepEqual(ours("helpline*"), []);
		assert.equal(box.try("systemctl is-enabled helpline.target").stdout.trim(), "disabled");
		assert.equal(sites(), before);
		assert.equal(workers(), pids);
		assert.equal(box.sh("stat -c '%a %U:%G' /etc/helpline/helpline.conf /etc/helpline/secrets"), "640 root:helpline\n700 root:root\n");
		assert.equal(box.try("nginx -t -q").status, 0);

		const url = await box.offer(upstream.url.replace(/\/v1$/, ""));
		box.write("/etc/helpline/helpline.conf", box.read("/etc/helpline/helpline.conf")
			.replace(/^#OPENAI_BASE_URL=.*$/m, `OPENAI_BASE_URL=${url}/v1`).replace(/^#OPENAI_TTS_MODEL=.*$/m, "OPENAI_TTS_MODEL=none")
			.replace(/^#RATE_LIMITS=.*$/m, "RATE_LIMITS=off"), 0o640);
		box.sh("systemctl enable --now --quiet helpline.target; ln -s ../sites-available/helpline /etc/nginx/sites-enabled/; nginx -t -q; systemctl reload nginx");
		const first = await waitFor("the first answer", () => ask({ fresh: true }));
		assert.equal(box.sh("systemctl list-units --plain --no-legend --state=failed 'helpline*'"), "");
		const took = Date.now() - began;
		assert.equal(first.response, "Three days.");
		assert.ok(took <= FIRST_ANSWER_MS, `${took} ms from apt-get install to the first answer`);
		console.log(`    from apt-get install to the first answer: ${took} ms`);
	});

	test("ten upgrades under load fail no request", async () => {
		const failures = [];
		let answered = 0, going = true;
		const client = async () => {
			while (going)
				try {
					assert.equal((await ask()).response, "Three days.");
					answered++;
				} catch (error) {
					failures.push(String(error));
				}
		};
		const neighbour = async () => {
			for (; going; await pause(50)) {
				const { status, text } = await request(base, "GET", "/", { headers: OTHER }).catch((error) => ({ text: String(error) }));
				if (status !== 200 || text !== "other")
					failures.push(`the other site: ${status} ${text}`);
			}
		};
		const all = [...Array.from({ length: CLIENTS }, client), neighbour()];
		const was = new Map(ours("helpline-*@*.service").map((unit) => [unit, box.pid(unit)]));
		try {
			const debs = Array.from({ length: UPGRADES }, (_, n) => `0.1.0+${n + 1}`).map((version) => successor(version));
			for (const file of debs) {
				const before = answered;
				box.copy(file, "/var/tmp/helpline.deb");
				const { status, stdout, stderr } = await box.shell("dpkg -i /var/tmp/helpline.deb");
				assert.equal(status, 0, `${stdout}${stderr}`);
				await waitFor("an answer after the upgrade", () => answered > before || failures.length > 0);
			}
		} finally {
			going = false;
			await Promise.all(all);
		}
		assert.deepEqual(failures, [], `${failures.length} failed of ${answered}`);
		assert.ok(answered > UPGRADES * CLIENTS, `${answered} answers`);
		assert.deepEqual(ours("helpline-*@*.service").sort(), [...was.keys()].sort());
		for (const [unit, pid] of was)
			assert.notEqual(box.pid(unit), pid, `${unit} is another process`);
		console.log(`    ${UPGRADES} upgrades: ${answered} answers, ${failures.length} failures`);
	});

	test("a changed snippet reaches nginx; what an administrator has changed stays", async () => {
		const own = "/etc/nginx/helpline/helpline-headers.conf";
		box.write(own, `${box.read(own)}add_header X-Mine yes always;\n`);
		box.write("/etc/helpline/helpline.conf", `${box.read("/etc/helpline/helpline.conf")}LOG_LEVEL=debug\n`, 0o640);
		const pids = workers();
		await apt("-o Dpkg::Options::=--force-confold install /var/tmp/helpline.deb", successor("0.1.0+20", (tree) => {
			const name = path.join(tree, "etc/nginx/helpline/helpline-front.conf");
			writeFileSync(name, `${readFileSync(name, "utf8")}# later\n`);
		}));
		await waitFor("other workers", () => workers() !== pids);
		assert.match(box.read("/etc/nginx/helpline/helpline-front.conf"), /# later$/m);
		assert.match(box.read(own), /X-Mine/);
		assert.match(box.read("/etc/helpline/helpline.conf"), /^LOG_LEVEL=debug$/m);
		assert.equal((await ask({ fresh: true })).response, "Three days.");
	});

	test("removal keeps settings, secrets and data; installed again, it goes on", async () => {
		const talk = await ask({ fresh: true });
		const said = await history(talk);
		assert.equal(said.length, 2);
		box.sh("install -d -o helpline /var/lib/helpline/uploads/x && echo sound >/var/lib/helpline/uploads/x/y");
		const kept = () => box.sh("sha256sum /etc/helpline/secrets/* /etc/helpline/helpline.conf /var/lib/helpline/uploads/x/y; getent passwd helpline");
		const before = kept();
		await apt("remove helpline");
		assert.equal(kept(), before);
		assert.deepEqual(ours("helpline*"), []);
		assert.equal(box.try("pgrep -u helpline").status, 1, "none of its processes is left");
		assert.equal(box.try("nginx -t -q").status, 0);
		await apt("install /var/tmp/helpline.deb", deb);
		assert.equal(kept(), before);
		box.sh("systemctl start helpline.target");
		assert.deepEqual(await waitFor("the same history", async () => {
			const now = await history(talk);
			return now?.length === 2 && now;
		}), said);
	});

	test("purging leaves nothing of it, and the other site as it was", async () => {
		const told = await apt("purge helpline");
		assert.match(told, /still there, and nobody can read it[^]*redis-cli FLUSHDB/);
		for (const name of ["/etc/helpline", "/var/lib/helpline", "/run/helpline", "/etc/nginx/helpline", "/etc/nginx/sites-enabled/helpline",
			"/etc/nginx/sites-available/helpline", "/usr/share/helpline", "/usr/libexec/helpline"])
			assert.notEqual(box.try(`test -e ${name} || test -L ${name}`).status, 0, `${name} is still there`);
		assert.equal(box.try("getent passwd helpline").status, 2);
		assert.equal(box.sh("find /etc/systemd /var/lib/systemd -name '*helpline*'"), "");
		assert.equal(box.try("nginx -t -q && systemctl reload nginx").status, 0);
		assert.equal((await request(base, "GET", "/", { headers: OTHER, fresh: true })).text, "other");
	});
});
