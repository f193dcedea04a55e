/*
 * fcgi_ends.h - both ends of FastCGI on a test's own loop: a task that asks, and a server that answers as the test wants.
 */
#ifndef TEST_FCGI_ENDS_H
#define TEST_FCGI_ENDS_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/buf.h"
#include "services/fcgi_client.h"

#define PATIENCE_MS	20000	/* where time is not what is tested */
#define MOST		(4u << 20)
#define SECONDS_MOST	300	/* a test that waits in vain ends the program */

extern uv_loop_t loop;
extern struct fcgi_client *client;	/* of the server below, if the test makes no other */

char	*pattern(size_t len);		/* bytes that tell where they lie; free(3) */
int	 listening(const char *path, int backlog);

int	 open_ends(void **state);	/* before and after each test; the latter sees that nothing is left behind */
int	 close_ends(void **state);
int	 make_dir(void **state);	/* before and after all of them */
int	 remove_dir(void **state);
const char *in_dir(const char *name);	/* a path there; until it is called again */
void	 ask_at(const char *path);	/* by another client, from now on; borrowed */
void	 turn_until(bool (*reached)(void));
bool	 nobody_asks(void);

/* ---- who asks ---- */

/* One question, and what became of it. */
struct asking {
	struct fcgi_question q;
	struct buf	 answer;
	struct task	*task;
	enum hl_err	 err;
	int		 status;
	bool		 over;
};

struct asking asking_of(const char *const *params);	/* NULL: none */
void	 run_asking(void *asking);	/* as a task */
void	 begin(struct asking *);
void	 ask(struct asking *);		/* returns when it is over */

/* ---- who is asked: a connection of the server, and what a test does with each whole request ---- */

struct peer {
	uv_pipe_t	 pipe;
	struct buf	 in;
	unsigned	 number, asked;		/* from 1, both */
};

extern unsigned accepted, asked, open_now;
extern struct peer *last_peer;
extern void (*on_asked)(struct peer *);		/* answer_well() at first */
extern void (*on_accepted)(struct peer *);	/* instead of reading, if there is one */

void	 read_on(struct peer *);
void	 hang_up(struct peer *);
void	 say(struct peer *, const void *, size_t);
void	 say_record(struct peer *, int type, const void *, size_t);
void	 say_text(struct peer *, const char *);
void	 say_end(struct peer *);
void	 answer_well(struct peer *);	/* "NUMBER.ASKED" */

#endif
