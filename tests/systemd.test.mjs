// Under a real systemd, in a host of its own: what customers do works with each program a user without rights in a sandbox; programs are
// replaced, killed and stand still, and nobody who asks notices.  HELPLINE_PACKAGE names a package that is to be tried; otherwise
// ./run package makes it.

import { after, before, beforeEach, describe, test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { containerMissing, startContainer } from "./container.mjs";
import { Stack, environment, pause, run, unique, waitFor } from "./harness.mjs";
import { startUpstream, reply } from "./upstream.mjs";

const PROGRAMS = ["auth", "chat", "desk", "events", "health", "pushd"];
const ROUNDS = 3;
const CLIENTS = 6;
const KEY = "sk-test-of-a-credential";
const IMAGE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");

const STORE = `[Service]
ExecStart=/usr/local/bin/redis-server --port 6379 --bind 127.0.0.1 --dir /var/redis --appendonly yes --appendfsync always
[Install]
WantedBy=multi-user.target
`;

const missing = containerMissing();
let box, stack, upstream, offered;

function makePackage() {
	const { status, stdout, stderr } = spawnSync(run, ["package"], { encoding: "utf8", env: environment() });
	assert.equal(status, 0, stdout + stderr);
	return stdout.trim();
}

const units = () => box.sh("systemctl list-units --plain --no-legend --state=active 'helpline-*@*.service' | cut -d ' ' -f 1").split("\n").filter(Boolean);
const first = (program) => `helpline-${program}@${program === "pushd" ? 0 : 1}.service`;
const property = (unit, name) => box.sh(`systemctl show -P ${name} '${unit}'`).trim();
const setting = (name, value) => box.write("/etc/helpline/helpline.conf", box.read("/etc/helpline/helpline.conf")
	.replace(new RegExp(`^${name}=.*\n|$`, "m"), "").concat(`${name}=${value}\n`), 0o640);

// A second pushd, as README.md and the comment in nginx/helpline-pushd.conf say.
const PUSHD_OF_TWO = `${["polls", "websockets"].map((kind) => `
	map $arg_sid $helpline_${kind} {
		default	helpline_${kind};
		"~^0"	helpline_${kind}_0;
		"~^1"	helpline_${kind}_1;
	}${[["", [0, 1]], ["_0", [0]], ["_1", [1]]].map(([name, whose]) => `
	upstream helpline_${kind}${name} {${whose.map((n) => `
		server unix:/run/helpline/${kind === "polls" ? "polls" : "ws"}-${n}.sock max_fails=0;`).join("")}
	}`).join("")}`).join("")}
`;

// Sockets in one session, of each pushd one.
async function oneOfEach() {
	const found = new Map();
	const first = await stack.client();
	const id = await first.join();
	found.set(first.socket.io.engine.id[0], first);
	await waitFor("a socket of each pushd", async () => {
		const client = await stack.client({ transports: found.size % 2 ? ["polling"] : ["websocket"] });
		if (found.has(client.socket.io.engine.id[0])) {
			client.close();
			return false;
		}
		await client.join({ sessionId: id });
		found.set(client.socket.io.engine.id[0], client);
		return found.size === 2;
	});
	return { id, clients: [...found.values()] };
}

// Somebody who talks over a socket, and says it again under the same number when the socket is closed meanwhile.
function talker(client, id) {
	const state = { said: 0 };
	let going = true;
	const all = (async () => {
		for (; going; state.said++) {
			await waitFor("it is accepted", () => client.ask("send-message", { sessionId: id, message: `number ${state.said}`, userId: "visitor-1",
				clientMessageId: `n-${state.said}` }));
			await waitFor("it is answered", async () => (await stack.history(id)).length >= 2 * (state.said + 1));
		}
	})();
	state.end = async () => {
		going = false;
		await all;
		const said = await stack.history(id);
		const numbers = said.filter((m) => m.role === "user").map((m) => m.content);
		assert.deepEqual(numbers, Array.from({ length: state.said }, (_, n) => `number ${n}`), "each once, in their order");
		assert.equal(said.length, 2 * state.said, "each is answered once");
	};
	return state;
}

// Somebody who talks, again and again, over REST: what failed, and how many answers there were.
function load(clients = CLIENTS) {
	const state = { failures: [], answers: 0, sessions: 0 };
	let going = true;
	const talk = async () => {
		while (going)
			try {
				const userId = unique("u");
				const id = await stack.session(userId);
				state.sessions++;
				await stack.say(id, "Where is my order?", { userId });
				state.answers++;
			} catch (error) {
				state.failures.push(String(error));
			}
	};
	const all = Array.from({ length: clients }, talk);
	state.end = async () => {
		going = false;
		await Promise.all(all);
		assert.deepEqual(state.failures, [], `${state.failures.length} failed, ${state.answers} were answered`);
	};
	return state;
}

describe("under systemd", { skip: missing }, () => {
	before(async () => {
		const deb = process.env.HELPLINE_PACKAGE ?? makePackage();
		upstream = await startUpstream();
		box = await startContainer({ hosts: ["nginx.service"] });
		box.copy(deb, "/var/tmp/helpline.deb");
		const url = offered = await box.offer(upstream.url);
		box.write("/etc/systemd/system/store.service", STORE);
		// redis-tools has the server, too.
		box.sh(`set -e
			ln -sf "$(command -v redis-check-rdb)" /usr/local/bin/redis-server
			systemctl disable --now --quiet redis-server 2>/dev/null || :
			mkdir -p /var/redis /etc/credstore
			systemctl enable --now --quiet store
			dpkg -i /var/tmp/helpline.deb
			rm -f /etc/nginx/sites-enabled/* /usr/local/bin/helpline	# which a developer may have
			ln -s ../sites-available/helpline /etc/nginx/sites-enabled/
			systemctl enable --quiet nginx	# Debian does; ./run, which may have installed it here, does not want it at the next boot
			systemctl restart nginx`);
		box.write("/etc/credstore/helpline.OPENAI_API_KEY", `${KEY}\n`, 0o600);
		for (const [name, value] of Object.entries({ OPENAI_BASE_URL: `${url}/v1`, OPENAI_MODEL: "test-model", OPENAI_TTS_MODEL: "none", RATE_LIMITS: "off" }))
			setting(name, value);
		box.sh("systemctl enable --now --quiet helpline.target");
		stack = new Stack(null, {});
		stack.url = await box.reach(80);
		await waitFor("/ready is 200", async () => (await stack.get("/ready")).status === 200);
	}, { timeout: 240_000 });

	after(async () => {
		if (process.env.HELPLINE_TEST_KEEP)
			console.log(box?.journal("helpline*"));
		await box?.stop();
		await upstream?.close();
	});

	beforeEach(() => {
		upstream.reset();
		upstream.otherwise = reply("Here I am.");
	});

	test("every program runs, as nobody in particular", () => {
		const running = units();
		for (const program of PROGRAMS)
			assert.ok(running.includes(first(program)), `${program}: ${running}`);
		assert.equal(box.sh("systemctl list-units --failed --plain --no-legend 'helpline*'"), "");
		const users = box.sh(`ps -o user= -p ${running.map((unit) => property(unit, "MainPID")).join(",")}`).trim().split("\n");
		assert.deepEqual([...new Set(users)], ["helpline"]);
		assert.equal(box.sh("stat -c '%a %U:%G' /run/helpline /run/helpline/chat.sock"), "750 helpline:www-data\n660 helpline:www-data\n");
		assert.notEqual(box.try("runuser -u nobody -- curl -s --unix-socket /run/helpline/front.sock http://x/").status, 0);
	});

	test("a customer is answered, over REST and over a socket", async () => {
		const id = await stack.session();
		assert.equal((await stack.say(id, "hello")).response, "Here I am.");
		assert.equal((await stack.history(id)).length, 2);
		const client = await stack.client();
		const room = await client.join();
		await client.ask("send-message", { sessionId: room, message: "are you there", userId: "visitor-1" });
		assert.equal((await client.when("message-received", (m) => m.isBot)).message, "Here I am.");
		client.close();
	});

	test("a secret in /etc/credstore is had by the programs, and by no other way", async () => {
		await stack.say(await stack.session(), "hello");
		assert.equal(upstream.requests[0].headers.authorization, `Bearer ${KEY}`);
		const environ = box.sh(`tr '\\0' '\\n' </proc/${property(first("chat"), "MainPID")}/environ`);
		assert.match(environ, /^CREDENTIALS_DIRECTORY=/m);
		assert.doesNotMatch(environ, new RegExp(KEY));
	});

	test("an image that is sent gets from nginx's file to a page", async () => {
		const who = await stack.post("/api/auth/register", { email: `${unique("a")}@example.com`, password: "Long-enough-1", name: "A B" });
		assert.equal(who.status, 201, who.text);
		const edge = unique("edge");
		const body = Buffer.concat([Buffer.from(`--${edge}\r\nContent-Disposition: form-data; name="avatar"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n`),
			IMAGE, Buffer.from(`\r\n--${edge}--\r\n`)]);
		const sent = await stack.call("PUT", "/api/auth/avatar", { body, headers: {
			authorization: `Bearer ${who.json.token}`, "content-type": `multipart/form-data; boundary=${edge}` } });
		assert.equal(sent.status, 200, `${sent.text}\n${box.journal("helpline-desk*")}`);
		const shown = await stack.get(sent.json.user?.avatar ?? sent.json.avatar);
		assert.equal(shown.status, 200);
		assert.equal(shown.headers["content-type"], "image/png");
		assert.equal(Number(shown.headers["content-length"]), IMAGE.length);
	});

	test("replaced under load, one instance after the other, no request fails and none waits for the other's end", async () => {
		upstream.otherwise = reply("Here I am.", { delay: 1500 });
		const before = new Map(units().map((unit) => [unit, property(unit, "MainPID")]));
		const talk = load();
		await waitFor("answers", () => talk.answers > CLIENTS || talk.failures.length > 0);
		for (let round = 0; round < ROUNDS; round++)
			for (const unit of ["helpline-chat@1.service", "helpline-chat@2.service"]) {
				const sessions = talk.sessions;
				const done = await box.shell(`systemctl restart ${unit}`);
				assert.equal(done.status, 0, done.stderr);
				assert.ok(talk.sessions > sessions, `${unit}: nobody was served while it was replaced`);
			}
		for (const program of PROGRAMS.filter((p) => p !== "chat"))
			assert.equal((await box.shell(`systemctl restart ${first(program)}`)).status, 0);
		await talk.end();
		for (const [unit, pid] of before)
			if (unit.includes("chat") || unit === first(unit.split(/[-@]/)[1]))
				assert.notEqual(property(unit, "MainPID"), pid, unit);
		assert.equal((await box.shell("journalctl -o cat -u 'helpline*' | grep -c 'State .stop-sigterm. timed out'")).stdout.trim(), "0");
		console.log(`    ${ROUNDS * 2} restarts of chat and ${PROGRAMS.length - 1} of others under load: ${talk.answers} answers, ${talk.failures.length} failures`);
	});

	test("replaced all at once under load, no request fails", async () => {
		upstream.otherwise = reply("Here I am.", { delay: 200 });
		const talk = load();
		for (let round = 0; round < ROUNDS; round++) {
			const answers = talk.answers;
			assert.equal((await box.shell("systemctl restart helpline.target")).status, 0);
			await waitFor("an answer", () => talk.answers > answers + CLIENTS || talk.failures.length > 0);
		}
		await talk.end();
		console.log(`    ${ROUNDS} restarts of everything under load: ${talk.answers} answers, ${talk.failures.length} failures`);
	});

	test("reloaded under load, programs read the settings anew, and no request fails", async () => {
		upstream.otherwise = reply("Here I am.", { delay: 1500 });
		const before = new Map(units().map((unit) => [unit, property(unit, "MainPID")]));
		const client = await stack.client({ reconnection: true, reconnectionDelay: 50 });
		const sockets = talker(client, await client.join());
		const talk = load();
		await waitFor("answers", () => talk.answers > CLIENTS || talk.failures.length > 0);
		setting("APP_ENV", "reloaded");
		assert.equal((await box.shell("systemctl reload 'helpline-*@*.service'")).status, 0);
		for (const [unit, pid] of before)
			await waitFor(`another process of ${unit}`, () => ![pid, "0"].includes(property(unit, "MainPID")));
		const sessions = talk.sessions;
		await waitFor("the new setting", async () => (await stack.get("/health")).json.environment === "reloaded");
		await waitFor("more answers", () => talk.sessions > sessions + 2 * CLIENTS || talk.failures.length > 0);
		await talk.end();
		for (const [unit, pid] of before) {
			assert.equal(property(unit, "ActiveState"), "active", unit);
			await waitFor(`the end of the one before, ${unit}`, () => box.try(`kill -0 ${pid}`).status !== 0);
		}
		await waitFor("the socket is back", () => client.socket.connected);
		const heard = sockets.said;
		await waitFor("what it says is accepted", () => sockets.said > heard + 1);
		await sockets.end();
		client.close();
		console.log(`    a reload of everything under load: ${talk.answers} answers, ${talk.failures.length} failures, ${sockets.said} messages by a socket`);
	});

	test("reloaded with a wrong setting, programs go on as they were, and say what is wrong", async () => {
		const unit = first("health");
		const pid = property(unit, "MainPID");
		const right = box.read("/etc/helpline/helpline.conf");
		setting("SESSION_TIMEOUT", "soon");
		assert.equal((await box.shell(`systemctl reload ${unit}`)).status, 0);
		await waitFor("what is wrong", () => /SESSION_TIMEOUT/.test(box.journal("helpline-health@1")));
		await waitFor("it is active again", () => property(unit, "ActiveState") === "active" && property(unit, "SubState") === "running");
		assert.equal(property(unit, "MainPID"), pid);
		assert.equal((await stack.get("/health")).status, 200);
		box.write("/etc/helpline/helpline.conf", right, 0o640);
		assert.equal((await box.shell(`systemctl reload ${unit}`)).status, 0);
		await waitFor("another process", () => ![pid, "0"].includes(property(unit, "MainPID")));
	});

	for (const program of PROGRAMS)
		test(`${program}, killed, is there again`, async () => {
			const [unit, client] = [first(program), await stack.client({ reconnection: true, reconnectionDelay: 50 })];
			const [pid, restarts] = [property(unit, "MainPID"), Number(property(unit, "NRestarts"))];
			process.kill(box.pid(unit), "SIGKILL");
			await waitFor(`another ${program}`, () => property(unit, "ActiveState") === "active" && ![pid, "0"].includes(property(unit, "MainPID")));
			assert.ok(Number(property(unit, "NRestarts")) > restarts);
			await waitFor("the socket is back", () => client.socket.connected);
			const id = await waitFor("a session by the socket", () => client.join());
			await client.ask("send-message", { sessionId: id, message: "are you there", userId: "visitor-1" });
			assert.equal((await client.when("message-received", (m) => m.isBot)).message, "Here I am.");
			assert.equal((await stack.say(await stack.session(), "and you")).response, "Here I am.");
			client.close();
		});

	test("no request fails while chat is killed again and again", async () => {
		const talk = load();
		for (let n = 0; n < 2 * ROUNDS; n++) {
			const [unit, answers] = [`helpline-chat@${1 + n % 2}.service`, talk.answers];
			const pid = await waitFor("its process", () => box.pid(unit));
			process.kill(pid, "SIGKILL");
			await waitFor("answers", () => talk.answers > answers + CLIENTS || talk.failures.length > 0);
		}
		await talk.end();
	});

	for (const program of ["chat", "pushd"])
		test(`${program} that stands still is found out by the watchdog`, async () => {
			const [unit, dir] = [first(program), `/run/systemd/system/${first(program)}.d`];
			box.sh(`mkdir -p ${dir}; printf '[Service]\\nWatchdogSec=2\\n' >${dir}/quick.conf; systemctl daemon-reload; systemctl restart ${unit}`);
			const pid = property(unit, "MainPID");
			await pause(3000);		// longer than it allows: who lives is let live
			assert.equal(property(unit, "MainPID"), pid);
			process.kill(box.pid(unit), "SIGSTOP");
			await waitFor("another one", () => property(unit, "ActiveState") === "active" && ![pid, "0"].includes(property(unit, "MainPID")));
			assert.match(box.sh(`journalctl --no-pager -o cat -u ${unit}`), /Watchdog timeout/);
			assert.equal((await stack.say(await stack.session(), "and you")).response, "Here I am.");
			box.sh(`rm -r ${dir}; systemctl daemon-reload; systemctl restart ${unit}`);
		});

	test("who has been stopped is started by the first that asks", async () => {
		box.sh("systemctl stop helpline-chat@1.service helpline-chat@2.service");
		assert.deepEqual(units().filter((unit) => unit.includes("chat")), []);
		assert.equal((await stack.say(await stack.session(), "hello")).response, "Here I am.");
		assert.deepEqual(units().filter((unit) => unit.includes("chat")), [first("chat")]);
		box.sh("systemctl start helpline-chat@2.service");
	});

	test("a wrong setting is told, and not tried again and again", async () => {
		const unit = "helpline-chat@2.service", was = box.read("/etc/helpline/helpline.conf");
		setting("TURN_TIMEOUT", "soon");
		assert.notEqual((await box.shell(`systemctl restart ${unit}`)).status, 0);
		assert.equal(property(unit, "ActiveState"), "failed");
		assert.equal(property(unit, "ExecMainStatus"), "2");
		assert.match(box.sh(`journalctl --no-pager -o cat -u ${unit}`), /TURN_TIMEOUT.*helpline\.conf, line \d+|helpline\.conf, line \d+.*TURN_TIMEOUT/);
		assert.equal((await stack.say(await stack.session(), "the other goes on")).response, "Here I am.");
		box.write("/etc/helpline/helpline.conf", was, 0o640);
		assert.equal((await box.shell(`systemctl restart ${unit}`)).status, 0);
	});

	test("without its keys none starts, and systemd says which file is missing", async () => {
		box.sh("mv /etc/helpline/secrets/seal.keys /var/tmp/");
		assert.notEqual((await box.shell("systemctl restart helpline-chat@2.service")).status, 0);
		assert.match(box.sh("journalctl --no-pager -o cat -u helpline-chat@2.service"), /seal\.keys|credentials/);
		box.sh("mv /var/tmp/seal.keys /etc/helpline/secrets/; systemctl reset-failed; systemctl restart helpline-chat@2.service");
	});

	test("check tells what the services may not do, and goes by the credentials that they have", () => {
		const conf = "/etc/helpline/helpline.conf", was = box.read(conf);
		const wrong = () => JSON.parse(box.try("helpline check --json").stdout).findings
			.filter((f) => f.level === "wrong" && f.check !== "redis.memory").map((f) => `${f.check} ${f.text} ${f.remedy}`);
		const broken = (breaking, finding, mending) => {
			box.sh(breaking);
			const seen = wrong();
			box.sh(mending);
			box.write(conf, was, 0o640);
			assert.ok(seen.length === 1 && finding.test(seen[0]), `${breaking}: ${JSON.stringify(seen)}`);
		};
		assert.deepEqual(wrong(), []);
		broken(`chmod 600 ${conf}; chown root: ${conf}`, /^settings\.readable .*user helpline.* may not read .*chown root:helpline/, `chown root:helpline ${conf}; chmod 640 ${conf}`);
		broken(`echo METRICS_FILE=/etc/metrics >>${conf}`, /^metrics .*may not write \/etc.*METRICS_FILE must lie/, ":");
		broken(`mkdir -p /home/pages; chmod 755 /home/pages; echo KNOWLEDGE_PATH=/home/pages >>${conf}`, /^knowledge .*may not read \/home\/pages: .*sandbox/, ":");
		broken("chown root /var/lib/helpline/uploads", /^folder\.rights .*may not write \/var\/lib\/helpline\/uploads.*chown/, "chown helpline /var/lib/helpline/uploads");
		broken("echo nonsense >/etc/nginx/conf.d/broken.conf", /^nginx\.shown .*mistake/, "rm /etc/nginx/conf.d/broken.conf");
		broken("echo 'fastcgi_ignore_headers X-Accel-Buffering;' >/etc/nginx/conf.d/kept.conf", /^nginx\.buffering /, "rm /etc/nginx/conf.d/kept.conf");
		broken("redis-cli config set maxmemory-policy allkeys-lru", /^redis\.eviction .*noeviction/, "redis-cli config set maxmemory-policy noeviction");
		broken("systemctl stop store", /^redis\.reached .*refused/, "systemctl start store");
		broken("redis-cli config set requirepass hunter2hunter2", /^redis\.refuses .*NOAUTH.*REDIS_PASSWORD/, ":");
		box.write("/etc/credstore/helpline.REDIS_PASSWORD", "hunter2hunter2\n", 0o600);
		assert.deepEqual(wrong(), []);
		assert.match(box.sh("helpline config dump"), /^REDIS_PASSWORD=\(hidden\)\t# the credential REDIS_PASSWORD$/m);
		box.sh("redis-cli -a hunter2hunter2 --no-auth-warning config set requirepass ''; rm /etc/credstore/helpline.REDIS_PASSWORD");
		assert.match(box.try("runuser -u helpline -- helpline check").stdout, /^\?.*secrets may not be entered.*\n +Ask as root/m);
		assert.match(box.try("runuser -u nobody -- helpline users list").stderr, /helpline\.conf cannot be read: Permission denied \(.*root/);
	});

	test("a second pushd shares the sockets with the first", async () => {
		box.sh("mkdir -p /etc/systemd/system/helpline.target.d");
		box.write("/etc/systemd/system/helpline.target.d/override.conf", "[Unit]\nWants=helpline-pushd@1.socket helpline-pushd@1.service\n");
		box.write("/etc/nginx/helpline/helpline-pushd.conf", PUSHD_OF_TWO);
		box.sh("systemctl daemon-reload; systemctl start helpline.target; nginx -t -q; systemctl reload nginx");
		await waitFor("it runs", () => property("helpline-pushd@1.service", "SubState") === "running");
		const { id, clients } = await oneOfEach();
		await clients[0].ask("send-message", { sessionId: id, message: "are you there", userId: "visitor-1" });
		for (const client of clients) {
			assert.equal((await client.when("message-received", (m) => m.isBot)).message, "Here I am.");
			client.close();
		}
	});

	test("after a reboot all of it is there again, and so are the conversations", async () => {
		const id = await stack.session();
		assert.equal((await stack.say(id, "hello")).response, "Here I am.");
		const [before, said] = [units(), await stack.history(id)];
		await box.reboot();
		await box.offer(upstream.url, new URL(offered).port);
		stack.url = await box.reach(80);
		await waitFor("/ready is 200", async () => (await stack.get("/ready")).status === 200);
		assert.deepEqual(units().sort(), before.sort());
		assert.equal(box.sh("systemctl list-units --failed --plain --no-legend 'helpline*' 'nginx*'"), "");
		assert.equal(box.sh("stat -c '%a %U:%G' /run/helpline /run/helpline/chat.sock"), "750 helpline:www-data\n660 helpline:www-data\n");
		assert.deepEqual(await stack.history(id), said);
		assert.equal((await stack.say(id, "and now")).response, "Here I am.");
		const { clients } = await oneOfEach();
		for (const client of clients)
			client.close();
	});

	test("stopped, all of it is stopped; started, it answers", async () => {
		box.sh("systemctl stop helpline.target");
		assert.deepEqual(units(), []);
		await waitFor("the sockets are gone", () => box.sh("systemctl list-units --plain --no-legend --state=active 'helpline*'") === "");
		assert.equal(box.try("pgrep -u helpline").status, 1);
		box.sh("systemctl start helpline.target");
		assert.equal((await stack.say(await stack.session(), "hello")).response, "Here I am.");
	});
});
