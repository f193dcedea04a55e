#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "check.h"
#include "keys.h"
#include "services/crypto.h"
#include "sockets.h"

#define STRONG_BYTES	32
#define STRONG_LETTERS	12		/* different ones: 32 random ones of 64 have hardly ever fewer */
#define THIS_CENTURY_MS	INT64_C(1704067200000)	/* 2024: before this program was written */
#define FILES_BESIDE	256		/* what pushd has open that is no socket of somebody's */

/* ---- what the settings say together ---- */

static void
check_livekit(struct check *c)
{
	const struct conf *f = &c->conf;
	int set = (*f->livekit_url != 0) + (*f->livekit_key != 0) + (*f->livekit_secret != 0);

	if (set == 1 || set == 2)
		found(c, "settings.livekit", FOUND_WRONG, "Set the other ones, or none: calls in rooms are off until then.",
		    "Of LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET only %s set", set == 1 ? "one is" : "two are");
}

static void
check_precedence(struct check *c)
{
	const struct conf *f = &c->conf;

	if (*f->redis_sentinels && (*f->redis_url || *f->redis_socket))
		found(c, "settings.redis", FOUND_UNKNOWN, "Leave out what is not meant.",
		    "REDIS_SENTINELS wins: %s has no effect", *f->redis_url ? "REDIS_URL" : "REDIS_SOCKET");
	else if (*f->redis_url && *f->redis_socket && c->state_dir == NULL)
		found(c, "settings.redis", FOUND_UNKNOWN, "Leave out what is not meant.", "REDIS_URL wins: REDIS_SOCKET has no effect");
	if (f->max_message > f->socket_max_payload)
		found(c, "settings.sizes", FOUND_WRONG, "Set a larger SOCKET_MAX_PAYLOAD.",
		    "A message may have %" PRId64 " bytes (MAX_MESSAGE_BYTES), but a socket's packet only %" PRId64, f->max_message,
		    f->socket_max_payload);
}

/* A .env file that anybody may read: a settings file like that is not even taken. */
static void
check_exposed(struct check *c)
{
	struct conf_origin origin;
	struct stat st;
	size_t count;
	const struct conf_entry *e = conf_entries(&count);

	for (size_t i = 0; i < count; i++)
		if (conf_is_secret(&e[i], conf_value(&e[i], &origin)) && origin.place == CONF_FILE_LINE &&
		    stat(origin.file, &st) == 0 && (st.st_mode & S_IROTH)) {
			found(c, "settings.rights", FOUND_UNKNOWN, "chmod 600 it.", "%s can be read by anybody, and %s in it is a secret",
			    origin.file, e[i].name);
			return;
		}
}

void
check_contradictions(struct check *c)
{
	check_livekit(c);
	check_precedence(c);
	check_exposed(c);
}

/* ---- secrets ---- */

bool
check_is_strong(const char *text)
{
	static const char *const words[] = { "secret", "password", "change", "example", "helpline", "0123456789", "abcdefgh", NULL };
	bool used[256] = { false };
	unsigned letters = 0;

	for (const char *p = text; *p; p++) {
		letters += !used[(unsigned char)*p];
		used[(unsigned char)*p] = true;
	}
	for (size_t i = 0; words[i]; i++)
		if (strcasestr(text, words[i]))
			return false;
	return strlen(text) >= STRONG_BYTES && letters >= STRONG_LETTERS;
}

/* Somebody may have written keys by hand. */
static bool
keys_are_strong(const char *dir)
{
	char path[4200], line[256], key[64];
	FILE *file;
	bool strong = true;

	snprintf(path, sizeof(path), "%s/seal.keys", dir);
	file = fopen(path, "re");
	while (file && strong && fgets(line, sizeof(line), file))
		if (sscanf(line, "name %63s", key) == 1 || sscanf(line, "seal %*u %63s", key) == 1)
			strong = check_is_strong(key);
	if (file)
		fclose(file);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(key, sizeof(key));
	return strong;
}

static void
check_token_secret(struct check *c)
{
	char path[4200];
	const char *secret = c->conf.jwt_secret;

	snprintf(path, sizeof(path), "%s/" KEYS_JWT, c->conf.secrets_dir);
	if (*secret)
		found_if(c, "secrets.tokens", check_is_strong(secret), "JWT_SECRET is hard to guess", "JWT_SECRET is easy to guess",
		    "Who guesses it can sign in as anybody: openssl rand -base64 48 makes a good one.");
	else
		found_if(c, "secrets.tokens", access(path, R_OK) == 0, "The secret that signs tokens is there",
		    "There is no secret to sign tokens with", "helpline keys init --dir DIR makes one; or set JWT_SECRET.");
}

/* It is there, and not for who asks. */
static bool
is_kept_from_us(const char *folder)
{
	struct stat st;

	return stat(folder, &st) == 0 && geteuid() != 0 && geteuid() != st.st_uid && access(folder, X_OK) != 0;
}

void
check_secrets(struct check *c)
{
	static const char missing[] = "helpline keys init --dir DIR makes them; HELPLINE_SECRETS names the folder.";
	struct buf problem = BUF_INIT(8192);
	struct crypto *crypto = NULL;
	struct stat st;
	bool ok = crypto_open(c->conf.secrets_dir, &crypto, &problem) == HL_OK;

	if (!ok && is_kept_from_us(c->conf.secrets_dir)) {
		found(c, "secrets.keys", FOUND_UNKNOWN, "Ask as root.", "The folder %s may not be entered: its keys are not checked",
		    c->conf.secrets_dir);
		goto out;
	}
	found_if(c, "secrets.keys", ok, "The sealing keys can be read by their owner alone", problem.data ? problem.data : "", missing);
	if (ok && !keys_are_strong(c->conf.secrets_dir))
		found(c, "secrets.strength", FOUND_WRONG,
		    "Only what helpline keys init makes is random; what is stored was sealed with this one, so add a new seal line above it.",
		    "A sealing key is easy to guess");
	if (stat(c->conf.secrets_dir, &st) == 0 && (st.st_mode & 077))
		found(c, "secrets.folder", FOUND_WRONG, "chmod 700 it.", "Others may enter the folder %s", c->conf.secrets_dir);
	check_token_secret(c);
out:
	crypto_free(crypto);
	buf_free(&problem);
}

/* ---- sockets ---- */

/* Its rights, and those of its folder: nginx makes sockets that anybody may write, and the folder keeps them out. */
static bool
is_for_all(const char *path)
{
	char folder[4200];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	if (strrchr(folder, '/') == NULL || stat(path, &st) != 0 || !(st.st_mode & S_IWOTH))
		return false;
	*strrchr(folder, '/') = '\0';
	return stat(*folder ? folder : "/", &st) == 0 && (st.st_mode & S_IXOTH);
}

static void
check_socket(struct check *c, const char *path)
{
	bool ok = socket_unix_answers(path);
	int why = errno;

	if (ok)
		found(c, "socket", FOUND_OK, NULL, "The socket %s takes connections", path);
	else
		found(c, "socket", FOUND_WRONG, c->state_dir ? "Is Helpline running? ./run --status" :
		    "systemctl status helpline.target tells whether it runs; ask as root or as a member of the socket's group.",
		    "The socket %s takes no connections: %s", path, strerror(why));
	if (c->state_dir == NULL && is_for_all(path))
		found(c, "socket.rights", FOUND_WRONG, "Only nginx's group is to connect: chmod o= it or its folder, and see SocketMode= of its unit.",
		    "Anybody may connect to %s, past nginx", path);
}

void
check_sockets(struct check *c)
{
	static const char *const names[] = { "auth", "chat", "desk", "health", "polls", "ws" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s.sock", c->state_dir ? "run" : "/run/helpline", names[i]);
		check_socket(c, path);
	}
	check_socket(c, c->state_dir ? "run/events.sock" : c->conf.events_socket);
	check_socket(c, c->state_dir ? "run/front.sock" : c->conf.front_socket);
}

/* ---- folders ---- */

static void
check_folder(struct check *c, const char *setting, const char *path, bool private)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		found(c, "folder", FOUND_WRONG, "systemd-tmpfiles --create makes the usual ones; else make it, for the programs' user.",
		    "%s is %s, which is no folder: %s", setting, path, errno == ENOENT ? "it is not there" : strerror(errno));
	else if (st.st_mode & (private ? 0007 : 0002))
		found(c, "folder", FOUND_WRONG, "chmod o= it; nginx reads it by its group.", "Anybody may %s the folder %s (%s)",
		    st.st_mode & 0002 ? "write" : "read", path, setting);
	else
		found(c, "folder", FOUND_OK, NULL, "The folder %s is there (%s)", path, setting);
}

static void
check_room(struct check *c, const char *path, int64_t wanted)
{
	struct statvfs fs;
	int64_t room;

	if (statvfs(path, &fs) != 0)
		return;
	room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (room < wanted)
		found(c, "folder.room", FOUND_UNKNOWN, "Make room, or set smaller MAX_AUDIO_BYTES and MAX_UPLOAD_BYTES.",
		    "%s has %" PRId64 " MB left, and sounds and recordings may take %" PRId64, path, room >> 20, wanted >> 20);
}

void
check_folders(struct check *c)
{
	const struct conf *f = &c->conf;
	DIR *knowledge = *f->knowledge_path ? opendir(f->knowledge_path) : NULL;

	if (*f->knowledge_path && (c->state_dir || knowledge))
		found_if(c, "knowledge", knowledge != NULL, "The folder of KNOWLEDGE_PATH can be read",
		    "The folder of KNOWLEDGE_PATH cannot be read", "Name a folder of Markdown and text files that the programs' user may read.");
	if (knowledge)
		closedir(knowledge);
	if (c->state_dir)		/* ./run keeps them */
		return;
	check_folder(c, "AVATAR_PATH", f->avatar_path, false);
	check_folder(c, "AUDIO_PATH", f->audio_path, true);
	check_folder(c, "UPLOAD_PATH", f->upload_path, true);
	check_room(c, f->audio_path, f->max_audio + f->max_uploads);
}

/* ---- the clock, and what the system allows ---- */

void
check_clock(struct check *c)
{
	struct timex state = { .modes = 0 };

	if (clock_wall_ms() < THIS_CENTURY_MS)
		found(c, "clock", FOUND_WRONG, "Set it; let a time server keep it (chrony, systemd-timesyncd).", "The clock is wrong by years");
	else if (adjtimex(&state) == TIME_ERROR)
		found(c, "clock", FOUND_UNKNOWN, "Tokens and limits go by it; chrony or systemd-timesyncd keeps it.",
		    "No time server keeps the clock, as far as the kernel knows");
	else
		found(c, "clock", FOUND_OK, NULL, "A time server keeps the clock");
}

static int64_t
open_files(const char *pid)
{
	char path[64], line[256];
	int64_t limit = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/limits", pid);
	f = fopen(path, "re");
	while (f && limit < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "Max open files %" SCNd64, &limit) != 1)
			limit = -1;
	if (f)
		fclose(f);
	return limit;
}

static bool
is_pushd(const char *pid)
{
	char path[64], name[32] = "";
	FILE *f;

	if (*pid < '0' || *pid > '9')
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(name, sizeof(name), f) == NULL)
		*name = '\0';
	if (f)
		fclose(f);
	return strcmp(name, "pushd\n") == 0;
}

/* It raises its own limit as far as it may: what is in force is what it got. */
void
check_limits(struct check *c)
{
	DIR *list = opendir("/proc");
	int64_t lowest = -1, limit;
	struct dirent *e;

	while (list && (e = readdir(list)) != NULL)
		if (is_pushd(e->d_name) && (limit = open_files(e->d_name)) > 0 && (lowest < 0 || limit < lowest))
			lowest = limit;
	if (list)
		closedir(list);
	if (lowest < 0)
		return;
	if (lowest < c->conf.max_sockets + FILES_BESIDE)
		found(c, "limits.files", FOUND_UNKNOWN, "Set LimitNOFILE= of its unit (or ulimit -n) higher, or MAX_SOCKETS lower.",
		    "pushd may open %" PRId64 " files: that is enough for %" PRId64 " sockets, not for MAX_SOCKETS (%" PRId64 ")", lowest,
		    lowest > FILES_BESIDE ? lowest - FILES_BESIDE : 0, c->conf.max_sockets);
	else
		found(c, "limits.files", FOUND_OK, NULL, "pushd may open enough files for %" PRId64 " sockets", c->conf.max_sockets);
}
