#include <crypt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/lane.h"
#include "services/password.h"

#define SALT_BYTES	16
#define POOL_THREADS	4u	/* libuv's, unless somebody has said otherwise */
#define LOW_PRIORITY	5	/* who chats goes first */
#define COST_12_MS	250.0	/* a guess, until the first one has been measured */

/* ---- one hash ---- */

static int
cost_of(const char *hash)
{
	return (hash[4] - '0') * 10 + hash[5] - '0';
}

/* A bad setting makes crypt(3) silently fall back to something else: only what is whole goes in. */
static bool
is_bcrypt(const char *hash)
{
	static const char digits[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	if (hash == NULL || strlen(hash) != PASSWORD_HASH_LEN || strncmp(hash, "$2", 2) != 0 ||
	    strchr("aby", hash[2]) == NULL || hash[3] != '$' || strspn(hash + 4, "0123456789") != 2 || hash[6] != '$' || strspn(hash + 7, digits) != 53)
		return false;
	return cost_of(hash) >= 4 && cost_of(hash) <= PASSWORD_COST_MAX;
}

/* ret gets the hash of the first PASSWORD_BYTES_MAX bytes. */
static bool
run_crypt(const char *password, const char *setting, char ret[PASSWORD_HASH_LEN + 1])
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	char seen[PASSWORD_BYTES_MAX + 1];
	const char *made = NULL;
	bool ok;

	snprintf(seen, sizeof(seen), "%s", password);
	if (data)
		made = crypt_r(seen, setting, data);
	ok = made && strlen(made) == PASSWORD_HASH_LEN && strncmp(made, setting, 7) == 0;
	if (ok)
		memcpy(ret, made, PASSWORD_HASH_LEN + 1);
	explicit_bzero(seen, sizeof(seen));
	if (data)
		explicit_bzero(data, sizeof(*data));
	free(data);
	return ok;
}

/* A hash of no password that anybody has: 184 bits that nothing was hashed to. */
static void
write_nobodys(int cost, char ret[PASSWORD_HASH_LEN + 1])
{
	snprintf(ret, PASSWORD_HASH_LEN + 1, "$2b$%02d$%s", cost, "Nobody.has.this.oneeNothing.was.hashed.to.these.bits.");
}

/*
 * After a wrong password: what a hash of that cost would have taken more.  An account whose hash is of a lower one than those
 * of nobody would be told by the time: 2^c + 2^c + 2^(c+1) + … + 2^(C-1) = 2^C.
 */
static void
make_up(const char *hash, int cost, const char *password)
{
	char nobodys[PASSWORD_HASH_LEN + 1], made[PASSWORD_HASH_LEN + 1];
	bool some = is_bcrypt(hash);

	for (int c = some ? cost_of(hash) : cost; some ? c < cost : c == cost; c++) {
		write_nobodys(c, nobodys);
		(void)run_crypt(password, nobodys, made);
	}
}

enum hl_err
password_hash(int cost, const char *password, char ret[PASSWORD_HASH_LEN + 1])
{
	char random[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];

	ret[0] = '\0';
	if (strlen(password) > PASSWORD_BYTES_MAX || getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random) ||
	    crypt_gensalt_rn("$2b$", (unsigned long)cost, random, sizeof(random), setting, sizeof(setting)) == NULL)
		return HL_INTERNAL;
	return run_crypt(password, setting, ret) ? HL_OK : HL_INTERNAL;
}

bool
password_matches(const char *hash, const char *password)
{
	char made[PASSWORD_HASH_LEN + 1];
	unsigned char differs = 0;

	if (!is_bcrypt(hash) || !run_crypt(password, hash, made))
		return false;
	for (size_t i = 0; i < PASSWORD_HASH_LEN; i++)
		differs |= (unsigned char)(made[i] ^ hash[i]);
	return differs == 0 && strlen(password) <= PASSWORD_BYTES_MAX;
}

/* ---- whose turn it is ---- */

#define LANE	""

struct passwords {
	int		 cost;
	unsigned	 at_once;
	struct lanes	 lanes, sources;	/* the second only counts */
	double		 each_ms;	/* how long one takes, of late */
	char		 nobodys[PASSWORD_HASH_LEN + 1];
};

enum hl_err
passwords_new(int cost, struct passwords **ret)
{
	struct passwords *p = calloc(1, sizeof(*p));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	*ret = p;
	if (p == NULL)
		return HL_NO_MEMORY;
	p->cost = cost;
	p->at_once = cores < 1 ? 1 : cores > (long)POOL_THREADS ? POOL_THREADS : (unsigned)cores;
	p->each_ms = COST_12_MS * (double)(1 << cost) / (double)(1 << 12);
	write_nobodys(cost, p->nobodys);
	return HL_OK;
}

void
passwords_free(struct passwords *p)
{
	free(p);
}

/* In both. */
struct place { struct lane_user turn, source; };

static enum hl_err
enter(struct passwords *p, const char *source, struct place *mine, int64_t *retry_ms)
{
	double each = p->each_ms / p->at_once, all_ms = (double)lane_length(&p->lanes, LANE) * each,
	    own_ms = (double)lane_length(&p->sources, source) * each;
	enum hl_err err;

	if (all_ms > PASSWORD_PATIENCE_MS || 2 * own_ms > PASSWORD_PATIENCE_MS) {
		*retry_ms = (int64_t)own_ms / 2;
		return HL_BUSY;
	}
	err = lane_enter(&p->sources, source, UINT_MAX, &mine->source);
	if (err)
		return err;
	err = lane_enter(&p->lanes, LANE, p->at_once, &mine->turn);
	if (err)
		lane_leave(&p->sources, &mine->source);
	return err;
}

static void
leave(struct passwords *p, struct place *mine)
{
	lane_leave(&p->sources, &mine->source);
	lane_leave(&p->lanes, &mine->turn);
}

/* ---- in the thread pool ---- */

struct hashing {
	const char	*source, *password, *hash;	/* hash NULL: make one */
	int		 cost;
	char		 made[PASSWORD_HASH_LEN + 1];
	bool		 matches;
	enum hl_err	 err;
};

static void
on_pool(void *arg)
{
	static __thread bool lowered;
	struct hashing *h = arg;

	if (!lowered)
		lowered = setpriority(PRIO_PROCESS, 0, LOW_PRIORITY) == 0;	/* of this thread alone */
	if (h->hash) {
		h->matches = password_matches(h->hash, h->password);
		if (!h->matches)
			make_up(h->hash, h->cost, h->password);
	} else
		h->err = password_hash(h->cost, h->password, h->made);
}

static enum hl_err
run(struct passwords *p, struct hashing *h, int64_t *retry_ms)
{
	struct place mine;
	enum hl_err err = enter(p, h->source, &mine, retry_ms);
	int64_t began;

	if (err)
		return err;
	began = clock_mono_ms();
	err = task_work(on_pool, h);
	p->each_ms += ((double)(clock_mono_ms() - began) - p->each_ms) / 8;
	leave(p, &mine);
	return err ? err : h->err;
}

enum hl_err
passwords_make(struct passwords *p, const char *source, const char *password, char ret[PASSWORD_HASH_LEN + 1],
    int64_t *retry_ms)
{
	struct hashing h = { .source = source, .password = password, .cost = p->cost };
	enum hl_err err = run(p, &h, retry_ms);

	memcpy(ret, h.made, sizeof(h.made));
	return err;
}

bool
passwords_current(const struct passwords *p, const char *hash)
{
	char setting[8];

	snprintf(setting, sizeof(setting), "$2b$%02d$", p->cost);
	return strncmp(hash, setting, strlen(setting)) == 0;
}

enum hl_err
passwords_check(struct passwords *p, const char *source, const char *hash, const char *password, bool *ret_matches,
    int64_t *retry_ms)
{
	struct hashing h = { .source = source, .password = password, .hash = hash && *hash ? hash : p->nobodys, .cost = p->cost };
	enum hl_err err = run(p, &h, retry_ms);

	*ret_matches = err == HL_OK && hash && *hash && h.matches;
	return err;
}
