// Plays an answer's samples one behind the other as they come, tells how much has been played, and stops at once.

const AHEAD = 0.06;	// seconds: what the connection may be late by without a gap

export class Player {
	constructor(context) {
		this.context = context;
		this.analyser = context.createAnalyser();
		this.analyser.fftSize = 512;
		this.analyser.connect(context.destination);
		this.wave = new Float32Array(this.analyser.fftSize);
		this.stop();
	}

	// Silence. What arrives later of that answer is not played.
	stop() {
		for (const { source } of this.parts || [])
			source.stop();
		this.stopped = this.id;
		this.parts = [];
		this.id = null;
		this.end = 0;
	}

	play({ id, ms, rate, audio }) {
		if (id === this.stopped)
			return;
		if (id !== this.id) {
			this.stop();
			this.id = id;
		}
		const samples = new Int16Array(audio);
		if (samples.length === 0)
			return;
		const buffer = this.context.createBuffer(1, samples.length, rate);
		buffer.copyToChannel(Float32Array.from(samples, (s) => s / 32768), 0);
		const source = this.context.createBufferSource();
		source.buffer = buffer;
		source.connect(this.analyser);
		const start = Math.max(this.end, this.context.currentTime + (this.parts.length ? 0.005 : AHEAD));
		source.start(start);
		this.end = start + buffer.duration;
		this.parts = this.parts.filter((p) => p.end > this.context.currentTime - 1);
		this.parts.push({ source, start, end: this.end, ms });
	}

	// ms of the answer that have been heard.
	played() {
		const now = this.context.currentTime;
		let ms = 0;
		for (const p of this.parts)
			if (p.start <= now)
				ms = p.ms + (Math.min(now, p.end) - p.start) * 1000;
		return Math.round(ms);
	}

	get playing() {
		return this.id !== null && this.end > this.context.currentTime;
	}

	level() {
		this.analyser.getFloatTimeDomainData(this.wave);
		return Math.sqrt(this.wave.reduce((sum, v) => sum + v * v, 0) / this.wave.length);
	}
}
