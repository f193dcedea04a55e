// ./run --voice: a whole conversation by voice on this computer, without any model server, and nothing is left when it ends.

import { test, after } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { newStateDir, runScript, waitFor } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";
import { hear, plainWords, speak, SURE } from "./sound.mjs";

const dir = newStateDir();
const env = { ...DESK_ENV, OPENAI_BASE_URL: "none", OPENAI_TTS_MODEL: "tts-1" };
after(() => {
	spawnSync(new URL("../run", import.meta.url).pathname, ["--stop", "--state-dir", dir], { stdio: "ignore" });
	rmSync(dir, { recursive: true, force: true });
});

// Processes whose command line has the words; no name is searched for that others could have, too.
const servers = () => readdirSync("/proc").filter((p) => /^\d+$/.test(p)).filter((p) => {
	try {
		const line = readFileSync(`/proc/${p}/cmdline`, "utf8");
		return line.includes("sound.mjs") && line.includes(dir);
	} catch {
		return false;
	}
});

test("speaks, hears and says what it is", { timeout: 300_000 }, async () => {
	const out = await runScript(["--voice", "--state-dir", dir, "--port", "0", "--detach"], { env });
	assert.equal(out.status, 0, out.stderr);
	assert.match(out.stdout + out.stderr, /a demonstration.*flite.*pocketsphinx.*neither is an AI model/);
	const url = /http:\/\/[^\s/]+/.exec(out.stdout + out.stderr)[0];
	const call = (method, target, { body, headers }) => fetch(url + target, {
		method, headers: { "content-type": "application/json", ...headers }, body: body && JSON.stringify(body),
	}).then(async (res) => {
		const text = await res.text();
		return { status: res.status, text, json: JSON.parse(text) };
	});
	const ada = await Person.join({ call, post: (target, body) => call("POST", target, { body }) });
	const { _id } = await ada.conversation();
	const form = new FormData();
	form.append("audio", new Blob([await speak(SURE[0], { format: "webm" })]), "said.webm");
	const res = await fetch(`${url}/api/conversations/${_id}/audio`, { method: "POST", body: form, headers: ada.headers });
	const said = await res.json();
	assert.equal(res.status, 200, JSON.stringify(said));
	assert.deepEqual(plainWords(said.transcript), plainWords(SURE[0]));
	const answer = await waitFor("the answer", async () => (await ada.read(_id)).messages.find((m) => m.role === "assistant" && m.seq > said.seq));
	assert.match(answer.content, /delivery/i);
	assert.ok(answer.audioUrl, "the answer is spoken");
	const heard = await hear(Buffer.from(await (await fetch(url + answer.audioUrl)).arrayBuffer()));
	assert.match(heard, /delivery|working days|take/, heard);
	assert.equal(servers().length, 1);
	assert.equal((await runScript(["--stop", "--state-dir", dir], { env })).status, 0);
	await waitFor("the server for speech has ended", () => servers().length === 0);
});
