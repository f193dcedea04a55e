// Real speech, made and heard by programs of Debian's: flite speaks, ffmpeg changes the form, pocketsphinx listens with its
// English model. None of them sounds or hears as a model does; but words that come back have really been said.
//
//	const wav = await speak("How long does delivery take?");	the voice of a woman; { voice: "echo" } a man's
//	const webm = await speak("...", { format: "webm" });		wav, mp3, ogg, webm, m4a, flac, aac, opus, pcm (24 kHz)
//	await hear(webm);						"how long does delivery take"
//
// As a program, a small OpenAI-compatible server with nothing but /audio/speech, /audio/transcriptions and /models, for the
// demonstration of ./run --voice:   node sound.mjs [--port N] [--follow STATE_DIR: ends when nothing runs there any more]

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

// Debian: flite ffmpeg pocketsphinx pocketsphinx-en-us
export const PROGRAMS = ["flite", "ffmpeg", "pocketsphinx_continuous"];
export const missingPrograms = () => PROGRAMS.filter((p) => spawnSync("sh", ["-c", `command -v ${p}`]).status !== 0);

// OpenAI's names for voices; every other name is a woman's voice, too.
const VOICES = { echo: "rms", onyx: "rms", fable: "awb", ash: "rms", ballad: "awb", verse: "rms" };

const MP3 = ["-c:a", "libmp3lame", "-b:a", "32k", "-ar", "24000", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"];
const FORMS = {
	wav: { args: ["-ar", "24000", "-c:a", "pcm_s16le", "-bitexact", "-f", "wav"], type: "audio/wav" },
	mp3: { args: MP3, type: "audio/mpeg" },		// frames and nothing else: files may be appended to each other
	pcm: { args: ["-ar", "24000", "-f", "s16le"], type: "audio/pcm" },
	opus: { args: ["-c:a", "libopus", "-b:a", "24k", "-f", "ogg"], type: "audio/ogg" },
	ogg: { args: ["-c:a", "libopus", "-b:a", "24k", "-f", "ogg"], type: "audio/ogg" },
	webm: { args: ["-c:a", "libopus", "-b:a", "24k", "-f", "webm"], type: "audio/webm" },
	m4a: { args: ["-c:a", "aac", "-b:a", "48k", "-movflags", "+faststart", "-f", "ipod"], type: "audio/mp4" },
	flac: { args: ["-c:a", "flac", "-f", "flac"], type: "audio/flac" },
	aac: { args: ["-c:a", "aac", "-b:a", "48k", "-f", "adts"], type: "audio/aac" },
};
export const mediaType = (format) => FORMS[format]?.type;
export const knowsFormat = (format) => Object.hasOwn(FORMS, format);

// One program with these arguments; gives what it printed. A failure says why.
function perform(name, args, input) {
	return new Promise((resolve, reject) => {
		const child = spawn(name, args, { stdio: ["pipe", "pipe", "pipe"] });
		const out = [];
		let problem = "";
		child.stdout.on("data", (data) => out.push(data));
		child.stderr.on("data", (data) => { problem = (problem + data).slice(-2000); });
		child.stdin.on("error", () => {});
		child.on("error", reject);
		child.on("close", (status) => (status === 0 ? resolve(Buffer.concat(out))
			: reject(new Error(`${name} gave ${status}: ${problem}`))));
		child.stdin.end(input);
	});
}

async function inFolder(work) {
	const dir = await mkdtemp(path.join(process.env.HELPLINE_TEST_TMP ?? tmpdir(), "helpline-sound-"));
	try {
		return await work(dir);
	} finally {
		await rm(dir, { recursive: true, force: true });
	}
}

// At most two of the programs at once: a test computer has two cores, and other things to do.
let free = 2;
const waiting = [];
async function inTurn(work) {
	if (free > 0)
		free--;
	else
		await new Promise((resolve) => waiting.push(resolve));
	try {
		return await work();
	} finally {
		if (waiting.length > 0)
			waiting.shift()();
		else
			free++;
	}
}

// flite reads ASCII; what it cannot say is left out, and nothing to say is a short silence.
const sayable = (text) => text.normalize("NFKD").replace(/[\u2018\u2019]/g, "'").replace(/[^\x20-\x7e]+/g, " ").trim();

async function synthesise(text, voice, speed) {
	const words = sayable(text);
	if (!/[a-z0-9]/i.test(words))
		return perform("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "0.3", "-f", "wav", "-"]);
	return inFolder(async (dir) => {
		const file = path.join(dir, "said.wav");
		await perform("flite", ["-voice", VOICES[voice] ?? "slt", "--setf", `duration_stretch=${1 / speed}`, "-t", words, "-o", file]);
		return readFile(file);
	});
}

const made = new Map();		// what was said before is not said again

// The words as sound. pause: seconds of silence before and behind.
export function speak(text, { format = "wav", voice = "alloy", speed = 1, pause = 0, rate } = {}) {
	const key = createHash("sha256").update(JSON.stringify([text, format, voice, speed, pause, rate])).digest("hex");
	if (!made.has(key)) {
		const sound = inTurn(async () => convert(await synthesise(text, voice, speed), format, { pause, rate }));
		sound.catch(() => made.delete(key));
		made.set(key, sound);
		if (made.size > 200)
			made.delete(made.keys().next().value);
	}
	return made.get(key);
}

// Sound in another form. Of a rate: resampled.
export async function convert(sound, format, { pause = 0, rate } = {}) {
	const filter = pause ? ["-af", `adelay=${pause * 1000}:all=1,apad=pad_dur=${pause}`] : [];
	const args = ["-ac", "1", ...filter, ...FORMS[format].args.flatMap((a, i, all) => (rate && all[i - 1] === "-ar" ? [String(rate)] : [a]))];
	return inFolder(async (dir) => {
		const from = path.join(dir, "from");
		const to = path.join(dir, "to");
		await writeFile(from, sound);
		await perform("ffmpeg", ["-v", "error", "-nostdin", "-y", "-i", from, ...args, to]);
		return readFile(to);
	});
}

// 16-bit samples with the header of a .wav before them.
export function wavOf(samples, rate) {
	const head = Buffer.alloc(44);
	head.write("RIFF", 0);
	head.writeUInt32LE(36 + samples.length, 4);
	head.write("WAVEfmt ", 8);
	head.writeUInt32LE(16, 16);
	head.writeUInt16LE(1, 20);
	head.writeUInt16LE(1, 22);
	head.writeUInt32LE(rate, 24);
	head.writeUInt32LE(rate * 2, 28);
	head.writeUInt16LE(2, 32);
	head.writeUInt16LE(16, 34);
	head.write("data", 36);
	head.writeUInt32LE(samples.length, 40);
	return Buffer.concat([head, samples]);
}

// Seconds that a piece of sound lasts, whatever its form: it is decoded.
export async function seconds(sound) {
	const samples = await inTurn(() => convert(sound, "pcm", {}));
	return samples.length / 48_000;
}

// The words in a piece of sound, in lower case, without marks. It fails if this is no sound; silence is "".
export function hear(sound) {
	return inTurn(() => inFolder(async (dir) => {
		const file = path.join(dir, "heard.wav");
		await writeFile(file, await convert(sound, "wav", { rate: 16_000, pause: 0.2 }));
		const lines = await perform("pocketsphinx_continuous", ["-infile", file, "-logfn", "/dev/null"]);
		return lines.toString().split("\n").map((l) => l.trim()).filter(Boolean).join(" ").replace(/\(\d\)|\+\+\w+\+\+/g, "");
	}));
}

// Sentences that come through the whole way unchanged, spoken by "alloy"; by "echo" all but the last.
export const SURE = ["How long does delivery take?", "Can I speak to a person please?", "Where is my order?", "I want to cancel my order",
	"I would like my money back", "Please call me back tomorrow", "What are your opening hours?", "Do you sell lamps?"];

export const plainWords = (text) => sayable(text).toLowerCase().replace(/[^a-z0-9' ]+/g, " ").split(" ").filter(Boolean);

// ---- the two routes ----

// Without the programs, and for tests to which sound does not matter: silent frames of MPEG-2 layer III, 24 kHz mono, 32 kbit/s.
const SILENT_FRAME = Buffer.concat([Buffer.from([0xff, 0xf3, 0x44, 0xc4]), Buffer.alloc(92)]);
export const silence = (frames = 20) => Buffer.concat(Array.from({ length: frames }, () => SILENT_FRAME));

export class Refused extends Error {
	constructor(status, message, param = null) {
		super(message);
		this.status = status;
		this.body = { error: { message, type: "invalid_request_error", param, code: null } };
	}
}

// The body of POST /audio/speech → { sound, type }.
export async function speechOf(body, { real = true } = {}) {
	const { input, voice, response_format: format = "mp3", speed = 1 } = body ?? {};
	if (typeof body?.model !== "string" || typeof input !== "string" || typeof voice !== "string" || input === "")
		throw new Refused(400, "model, input and voice are needed");
	if ([...input].length > 4096)
		throw new Refused(400, "input: string should have at most 4096 characters", "input");
	if (!knowsFormat(format) || !(speed >= 0.25 && speed <= 4))
		throw new Refused(400, `Invalid value: '${format}'`, "response_format");
	return { sound: real ? await speak(input, { format, voice, speed }) : silence(), type: FORMS[format].type };
}

const ACCEPTED = /\.(flac|mp3|mp4|mpeg|mpga|m4a|ogg|wav|webm)$/;

// The body of POST /audio/transcriptions → { file, bytes, fields }.
export async function formOf(raw, type) {
	let form;
	try {
		form = await new Response(raw, { headers: { "content-type": type ?? "" } }).formData();
	} catch {
		throw new Refused(400, "Could not parse multipart form");
	}
	const file = form.get("file");
	if (!file || typeof file === "string")
		throw new Refused(400, "Missing file", "file");
	const fields = Object.fromEntries([...form].filter(([, v]) => typeof v === "string"));
	if (!fields.model)
		throw new Refused(400, "you must provide a model parameter", "model");
	if (!ACCEPTED.test(file.name))
		throw new Refused(400, "Unrecognized file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']", "file");
	const bytes = Buffer.from(await file.arrayBuffer());
	if (bytes.length > 26_214_400)
		throw new Refused(413, "Maximum content size limit (26214400) exceeded");
	return { name: file.name, type: file.type, bytes, fields };
}

export async function wordsOf(form, { real = true } = {}) {
	if (!real)
		return "How long does delivery take?";
	try {
		return await hear(form.bytes);
	} catch {
		throw new Refused(400, "Audio file might be corrupted or unsupported", "file");
	}
}

// What the server says of them in the form that was asked for: [body, type].
export function transcriptOf(text, form) {
	const format = form.fields.response_format ?? "json";
	if (format === "text")
		return [`${text}\n`, "text/plain; charset=utf-8"];
	return [JSON.stringify({
		text, ...(format === "verbose_json" && { language: "english", duration: 1, segments: [] }),
		usage: { type: "duration", seconds: 1 },
	}), "application/json"];
}

// ---- the demonstration's server ----

async function answer(req, res) {
	const chunks = [];
	for await (const chunk of req)
		chunks.push(chunk);
	const raw = Buffer.concat(chunks);
	const where = `${req.method} ${new URL(req.url, "http://x").pathname}`;
	if (where === "GET /v1/models")
		return [JSON.stringify({ object: "list", data: [{ id: "local-voice", object: "model", created: 1, owned_by: "local" }] }), "application/json"];
	if (where === "POST /v1/audio/speech") {
		const { sound, type } = await speechOf(JSON.parse(raw.toString()));
		return [sound, type];
	}
	if (where === "POST /v1/audio/transcriptions") {
		const form = await formOf(raw, req.headers["content-type"]);
		return transcriptOf(await wordsOf(form), form);
	}
	throw new Refused(404, `There is no ${where}`);
}

// Ends this program when the system of that folder has ended, however: its private socket takes no connection for a while.
function follow(dir) {
	process.chdir(dir);
	let failures = -60;		// it may take its time to start
	const look = () => {
		const socket = net.connect("run/front.sock");
		const over = (lives) => {
			socket.destroy();
			failures = lives ? 0 : failures + 1;
			if (failures > 5)
				process.exit(0);
			setTimeout(look, 1000);
		};
		socket.once("connect", () => over(true));
		socket.once("error", () => over(false));
	};
	look();
}

async function main() {
	const { values } = (await import("node:util")).parseArgs({ options: {
		port: { type: "string", default: "0" }, follow: { type: "string" },
	} });
	if (values.follow)
		follow(values.follow);
	process.stdout.on("error", () => {});
	const server = http.createServer((req, res) => answer(req, res).then(([body, type]) => {
		res.writeHead(200, { "content-type": type });
		res.end(body);
	}).catch((error) => {
		res.writeHead(error.status ?? 400, { "content-type": "application/json" });
		res.end(JSON.stringify(error.body ?? { error: { message: error.message, type: "server_error", param: null, code: null } }));
	}));
	server.listen(Number(values.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/v1`));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
	await main();
