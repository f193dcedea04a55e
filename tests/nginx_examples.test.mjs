// The examples for nginx, each as it is shipped but for its paths, addresses and ports: nginx accepts it, and it runs, in
// front of the programs of a private Helpline, as a second nginx beside that one's own.

import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import https from "node:https";
import http2 from "node:http2";
import net from "node:net";
import path from "node:path";
import { Client, assertProblem, environment, freePort, request, root, startStack, upstreamEnv, waitFor } from "./harness.mjs";
import { mainJob } from "./main_job.mjs";
import { reply, startUpstream } from "./upstream.mjs";

const SHIPPED = path.join(process.env.HELPLINE_BUILD ?? path.join(root, "build"), "stage/share/helpline/nginx");
const NGINX = ["/usr/sbin/nginx", "nginx"].find((name) => spawnSync(name, ["-v"]).status === 0);

let stack, upstream;
const started = [];

before(async () => {
	upstream = await startUpstream();
	upstream.otherwise = reply("It takes three to five days, as our pages say.", { tokenDelay: 15 });
	stack = await startStack({ upstream, env: { ...upstreamEnv(upstream), FRONTEND_URL: "" } });
});
after(async () => {
	for (const child of started)
		child.kill("SIGTERM");
	await stack?.stop();
	await upstream?.close?.();
});

// ---- an example, made to run here ----------------------------------------------------------------------------------

// nginx and the programs are one user here, so that these read what that one writes. It may not come through the folders
// above the state directory, but it may begin there: all paths are relative.
const who = () => {
	const { uid, gid } = statSync(path.join(stack.dir, "run"));
	return { uid, gid, cwd: stack.dir };
};

function give(dir) {
	const { uid, gid } = who();
	for (const name of [dir, ...readdirSync(dir, { recursive: true }).map((n) => path.join(dir, n))])
		chownSync(name, uid, gid);
}

// words: [what stands in the example, what is to stand there]…; they come before the paths, which all examples have.
async function startExample(file, words = [], site = "site") {
	const dir = mkdtempSync(path.join(stack.dir, "example-"));
	const name = path.basename(dir);
	const replaced = (text) => [
		...words,
		["/etc/nginx/helpline/", ""], ["/run/helpline/front.sock", `${name}/front.sock`], ["/run/helpline/", "run/"],
		["/usr/share/helpline/", "app/share/helpline/"], ["/var/lib/helpline/", ""], ["/var/log/nginx/", `${name}/`], ["/var/www/html", site],
	].reduce((all, [from, to]) => all.replaceAll(from, to), text);

	for (const snippet of readdirSync(SHIPPED).filter((n) => n.startsWith("helpline-") && n.endsWith(".conf")))
		writeFileSync(path.join(dir, snippet), replaced(readFileSync(path.join(SHIPPED, snippet), "utf8")));
	mkdirSync(path.join(dir, "temp"));
	const example = replaced(readFileSync(path.join(SHIPPED, file), "utf8"));
	assert.doesNotMatch(example.replace(/^\s*#.*$/gm, ""), /\/(?:etc\/nginx|run\/helpline|var)\//, "all paths are known here");
	const temp = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"].map((n) => `${n}_temp_path ${name}/temp/${n};`).join(" ");
	writeFileSync(path.join(dir, "nginx.conf"), `daemon off;\npid ${name}/nginx.pid;
error_log ${name}/error.log warn;\nevents { worker_connections 512; }\nhttp {\ninclude /etc/nginx/mime.types;\naccess_log off;\n${temp}\n${example}}\n`);
	const args = ["-e", "stderr", "-p", ".", "-c", path.join(name, "nginx.conf")];
	give(dir);
	const checked = spawnSync(NGINX, ["-t", ...args], { encoding: "utf8", ...who() });
	assert.equal(checked.status, 0, checked.stderr);
	assert.doesNotMatch(checked.stderr, /\[(?:warn|emerg)\]/, "nginx -t has nothing to say");
	const child = spawn(NGINX, args, { stdio: "ignore", ...who() });
	started.push(child);
	return { dir, log: () => readFileSync(path.join(dir, "helpline.log"), "utf8"), stop: () => child.kill("SIGTERM") };
}

const listening = (port) => waitFor(`port ${port} answers`, () => new Promise((resolve) => {
	const socket = net.connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
	socket.on("error", () => resolve(false));
}));

const onPort = (port, from = 80) => [[`\tlisten ${from} backlog=4096;`, `\tlisten 127.0.0.1:${port};`], [`\tlisten ${from};`, `\tlisten 127.0.0.1:${port};`],
	[`\tlisten [::]:${from} backlog=4096;\n`, ""], [`\tlisten [::]:${from};\n`, ""]];

// ---- the examples --------------------------------------------------------------------------------------------------

test("a whole site runs, and its log has no session's id", async () => {
	const port = await freePort();
	const example = await startExample("helpline.conf", onPort(port));
	await listening(port);
	const id = await mainJob(`http://127.0.0.1:${port}`);
	await waitFor("the log is written", () => example.log().includes("history/***"));
	assert.ok(!example.log().includes(id));
});

describe("below a prefix of a server that has a site", () => {
	let url, example;
	const api = (method, target, options) => request(url, method, target, options);

	before(async () => {
		const port = await freePort();
		const site = mkdtempSync(path.join(stack.dir, "site-"));
		writeFileSync(path.join(site, "index.html"), "The site that was here before");
		writeFileSync(path.join(site, "missing.html"), "Not here, says the site");
		writeFileSync(path.join(site, "site.css"), "p { color: red }");
		give(site);
		example = await startExample("examples/prefix.conf", onPort(port), path.basename(site));
		url = `http://127.0.0.1:${port}`;
		await listening(port);
	});

	test("the main job runs, over REST and sockets", async () => {
		const id = await mainJob(url, "/support");
		await waitFor("the log is written", () => example.log().includes("/support/api/v1/chat/history/***"));
		assert.ok(!example.log().includes(id));
	});

	test("the site is as before", async () => {
		assert.equal((await api("GET", "/")).text, "The site that was here before");
		const css = await api("GET", "/site.css");
		assert.equal(css.status, 200);
		assert.match(css.headers["cache-control"], /3600/);
		for (const target of ["/health", "/api/v1/health", "/app.js", "/socket.io/?EIO=4&transport=polling", "/supporting", "/nothing.js"]) {
			const res = await api("GET", target);
			assert.equal(res.status, 404, target);
			assert.equal(res.text, "Not here, says the site", target);
			assert.equal(res.headers["content-security-policy"], undefined, target);
		}
		for (const target of ["/_helpline/health", "/_helpline/", "/_helpline/websocket", "/_helpline/problem", "/_helpline/sound/audio/AAAAAAAAAAAAAAAAAAAAAA.mp3"])
			assert.equal((await api("GET", target)).status, 404, `${target} is not for those outside`);
		const large = await api("POST", "/", { body: "x".repeat(900_000), headers: { "content-type": "text/plain" } });
		assert.equal(large.status, 405, "its own limits count");
	});

	test("what nginx refuses there is a problem document, in Helpline's words", async () => {
		assertProblem(await api("GET", "/support/nothing"), 404, "There is nothing here");
		assertProblem(await api("GET", "/support/api/v1/chat"), 404, "There is nothing here");
		assertProblem(await api("POST", "/support/api/v1/chat/session", { body: "x".repeat(300_000) }), 413);
		assert.equal((await api("GET", "/support/v1/nothing")).json.error.message.length > 0, true);
		const health = await api("GET", "/support/health");
		assert.equal(health.status, 200, health.text);
		assert.match(health.headers["x-request-id"], /./);
	});

	test("pages, what they need, and redirects that stay below it", async () => {
		for (const [from, to] of [["/support", "/support/"], ["/support?a=b", "/support/?a=b"], ["/support/voice?agent=1", "/support/voice/?agent=1"],
			["/support/docs", "/support/docs/"]]) {
			const res = await api("GET", from);
			assert.equal(res.status, 301, from);
			const there = new URL(res.headers.location, `${url}${from}`);
			assert.equal(there.pathname + there.search, to, from);
		}
		for (const page of ["/support/", "/support/docs/", "/support/voice/"]) {
			const res = await api("GET", page);
			assert.equal(res.status, 200, page);
			const links = [...res.text.matchAll(/(?:href|src)="([^"#]+)"/g)].map((m) => new URL(m[1], url + page));
			assert.ok(links.length > 2, page);
			for (const link of links) {
				assert.ok(link.href.startsWith(`${url}/support/`), `${link} on ${page}`);
				assert.equal((await api("GET", link.pathname)).status, 200, `${link} on ${page}`);
			}
		}
		for (const name of ["voice/microphone.js", "openapi.json", "public/avatars/ai-avatar.png"])
			assert.equal((await api("GET", `/support/${name}`)).status, 200, name);
	});

	test("accounts, agents with an avatar, a list in pages", async () => {
		const json = async (method, target, body, token, headers = {}) => {
			const res = await api(method, `/support${target}`, { body, headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers } });
			assert.ok(res.status < 300, `${target}: ${res.status} ${res.text}`);
			return res;
		};
		const { token } = (await json("POST", "/api/auth/register", { email: "ada@example.com", password: "A passw0rd of hers", name: "Ada" })).json;
		const agent = (await json("POST", "/api/agents", { name: "Lumi", companyName: "Lantern", personality: "Warm", companyInfo: "Lamps" }, token)).json;
		const image = readFileSync(path.join(root, "www/public/avatars/ai-avatar.png"));
		const put = (await json("PUT", `/api/agents/${agent._id}/avatar`, image, token, { "content-type": "image/png" })).json;
		const address = JSON.stringify(put).match(/\/public\/avatars\/[^"]+/)[0];
		const shown = await api("GET", `/support${address}`);
		assert.equal(shown.status, 200);
		assert.equal(shown.headers["content-type"], "image/png");
		for (let i = 0; i < 3; i++)
			await json("POST", "/api/conversations", { agentId: agent._id }, token);
		const first = await json("GET", "/api/conversations?limit=2", undefined, token);
		const next = new URL(/<([^>]+)>; rel="next"/.exec(first.headers.link)[1], `${url}/support/api/conversations?limit=2`);
		assert.equal(next.pathname, "/support/api/conversations", "the next page's address is below it, too");
		assert.equal((await json("GET", next.pathname.slice(8) + next.search, undefined, token)).json.length, 1);
	});
});

test("with TLS: redirected, over HTTP/2, told to stay", async () => {
	const [plain, secure] = [await freePort(), await freePort()];
	const dir = mkdtempSync(path.join(stack.dir, "tls-"));
	const made = spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=support.example.com", "-days", "2",
		"-keyout", `${dir}/privkey.pem`, "-out", `${dir}/fullchain.pem`], { encoding: "utf8" });
	assert.equal(made.status, 0, made.stderr);
	give(dir);
	await startExample("examples/tls.conf", [...onPort(plain), ["listen 443 ssl http2 backlog=4096", `listen 127.0.0.1:${secure} ssl http2`],
		["\tlisten [::]:443 ssl http2 backlog=4096;\n", ""], ["/etc/letsencrypt/live/support.example.com", `../${path.basename(dir)}`]]);
	await listening(plain);
	const redirected = await request(`http://127.0.0.1:${plain}`, "GET", "/docs/?a=b", { headers: { host: "support.example.com" } });
	assert.equal(redirected.status, 301);
	assert.equal(redirected.headers.location, "https://support.example.com/docs/?a=b");

	const session = http2.connect(`https://127.0.0.1:${secure}`, { rejectUnauthorized: false });
	const stream = session.request({ ":method": "POST", ":path": "/api/v1/chat/session", "content-type": "application/json" });
	stream.end(JSON.stringify({ userId: "visitor-1" }));
	const { headers, text } = await new Promise((resolve, reject) => {
		let got, all = "";
		stream.on("response", (h) => { got = h; });
		stream.on("data", (d) => { all += d; });
		stream.on("error", reject);
		stream.on("end", () => resolve({ headers: got, text: all }));
	});
	session.destroy();
	assert.equal(headers[":status"], 200, text);
	assert.equal(headers["strict-transport-security"], "max-age=63072000");
	for (const page of ["/", "/voice/", "/nothing"]) {
		const told = await new Promise((resolve, reject) => {
			https.get(`https://127.0.0.1:${secure}${page}`, { rejectUnauthorized: false, agent: false }, (res) => { res.resume(); resolve(res.headers); })
				.on("error", reject);
		});
		assert.equal(told["strict-transport-security"], "max-age=63072000", page);
	}
	const socket = new Client(`https://127.0.0.1:${secure}`, { transports: ["websocket"], rejectUnauthorized: false });
	await socket.when("connect");
	await socket.join();
	socket.close();
	const untold = await stack.get("/");
	assert.equal(untold.headers["strict-transport-security"], undefined, "nobody is told who has not asked for it");
});

test("behind a proxy: the customer's address counts, and nobody's claim", async () => {
	const port = await freePort();
	const example = await startExample("examples/behind-proxy.conf", [...onPort(port), ["set_real_ip_from 10.0.0.0/24;", "set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/24;"]]);
	const url = `http://127.0.0.1:${port}`;
	await listening(port);
	await mainJob(url);
	const ask = (forwarded, id) => request(url, "GET", "/openapi.json", { headers: { "x-forwarded-for": forwarded, "x-request-id": id } });
	await ask("203.0.113.7", "plain");
	await ask("192.0.2.66, 203.0.113.8, 10.0.0.5", "claimed");
	const from = (id) => new RegExp(`id=${id} from=(\\S+)`).exec(example.log())?.[1];
	await waitFor("both are logged", () => from("plain") && from("claimed"));
	assert.equal(from("plain"), "203.0.113.7");
	assert.equal(from("claimed"), "203.0.113.8", "what a customer writes before the proxy's word is nothing");
});

test("limits by class: passwords run out first, then messages, and each address has its own", async () => {
	const port = await freePort();
	await startExample("examples/behind-proxy.conf", [...onPort(port), ["set_real_ip_from 10.0.0.0/24;", "set_real_ip_from 127.0.0.1;"],
		["rate=60r/s", "rate=1r/m"], ["rate=5r/s", "rate=1r/m"], ["burst=600", "burst=8"], ["burst=200", "burst=3"]]);
	const url = `http://127.0.0.1:${port}`;
	await listening(port);
	const many = async (n, address, method, target) => {
		const statuses = [];
		for (let i = 0; i < n; i++)
			statuses.push((await request(url, method, target, { body: method === "GET" ? undefined : {}, headers: { "x-forwarded-for": address } })).status);
		return statuses.filter((s) => s === 429).length;
	};
	assert.equal(await many(8, "203.0.113.1", "POST", "/api/auth/login"), 4);
	assert.equal(await many(1, "203.0.113.2", "POST", "/api/auth/login"), 0, "another address has its own");
	assert.equal(await many(20, "203.0.113.1", "GET", "/api/auth/me"), 0, "the rest of the accounts' routes has room");
	assert.equal(await many(12, "203.0.113.1", "POST", "/api/v1/chat/session"), 3);
	assert.equal(await many(12, "203.0.113.1", "GET", "/api/v1/chat/history/AAAAAAAAAAAAAAAAAAAAAA"), 0, "reading is not sending");
	const refused = await request(url, "POST", "/api/auth/login", { body: {}, headers: { "x-forwarded-for": "203.0.113.1" } });
	assertProblem(refused, 429);
	assert.equal(refused.headers["retry-after"], "1");
});

test("of two application hosts one goes away under load: no request fails, no message is doubled", async () => {
	const port = await freePort();
	const hosts = [await freePort(), await freePort()];
	const programs = [];
	const startHost = (tcp) => {
		const child = spawn("spawn-fcgi", ["-n", "-a", "127.0.0.1", "-p", String(tcp), "-b", "1024", "--", "app/libexec/helpline/chat"],
			{ stdio: "ignore", env: hostEnvironment(), ...who() });
		programs.push(child);
		started.push(child);
		return listening(tcp);
	};
	await Promise.all(hosts.map(startHost));
	const example = await startExample("examples/two-hosts.conf", [...onPort(port), ["10.0.0.11:9001", `127.0.0.1:${hosts[0]}`], ["10.0.0.12:9001", `127.0.0.1:${hosts[1]}`],
		["set $helpline_rate_limits on", "set $helpline_rate_limits off"]]);
	const url = `http://127.0.0.1:${port}`;
	await listening(port);
	await mainJob(url);

	const failed = [];
	let over = false, sent = 0;
	const customer = async (n) => {
		const { json: { sessionId } } = await request(url, "POST", "/api/v1/chat/session", { body: { userId: `visitor-${n}` } });
		const said = [];
		while (!over) {
			const message = `Question ${n}.${said.length}`;
			const res = await request(url, "POST", "/api/v1/chat/message", { body: { sessionId, userId: `visitor-${n}`, message } });
			if (res.status !== 200)
				failed.push(`${res.status} ${res.text}`);
			said.push(message);
			sent++;
		}
		const { json } = await request(url, "GET", `/api/v1/chat/history/${sessionId}`);
		const own = json.history.map((m) => m.content ?? m.message).filter((t) => /^Question /.test(t));
		assert.deepEqual(own.slice(-Math.min(own.length, said.length)), said.slice(-own.length), "each once, in its order");
	};
	const customers = [1, 2, 3, 4, 5, 6].map(customer);
	const more = async (n) => { const at = sent; await waitFor("requests go on", () => sent >= at + n); };
	await more(30);
	programs[0].kill("SIGKILL");
	await more(60);
	await startHost(hosts[0]);
	await more(30);
	programs[1].kill("SIGKILL");
	await more(60);
	over = true;
	await Promise.all(customers);
	assert.deepEqual(failed, []);
	assert.ok(sent >= 180);
	await waitFor("the log is written", () => /up="502, 200"|, /.test(example.log()));
});

// What ./run gives the program chat: its environment, as the kernel shows it.
function hostEnvironment() {
	const { pid } = JSON.parse(spawnSync(path.join(root, "run"), ["--state-dir", stack.dir, "--status", "--json"], { encoding: "utf8", env: environment(stack.env) }).stdout)
		.find((p) => p.name === "chat");
	const env = Object.fromEntries(readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean).map((l) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]));
	for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"])
		delete env[name];
	return env;
}

