#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "engine/lexicon.h"

struct meaning {
	uint64_t	 is;
	bool		 typos;		/* may be mistyped */
	const char	*words;
};

/* A word may stand in several rows: it has the meanings of all. */
static const struct meaning lexicon[] = {
	{ TALK, true, "speak speaking talk talking chat chatting converse conversation discuss discussing "
	    "hablar hablarle charlar conversar platicar parler discuter parlare falar" },
	{ TALK, false, "talkin speakin spk spke spek tlk tak chta caht parla word prata snakka snakke "
	    "rozmawiac porozmawiac поговорить говорить" },
	{ TALK | TALK_LAST, true, "sprechen praten spreken telefonieren" },
	{ TALK | TALK_LAST, false, "reden spreche rede spreek praat" },
	{ REACH, true, "contact contacting reach reaching call calling phoning dealing relation relacion "
	    "contacter joindre contactar contactarme comunicarme comunicar llamar contattare contatar "
	    "comuniqueme comunicame conectame conecteme pasame paseme passami passatemi" },
	{ REACH, false, "phone ring hold ahold touch deal dial cal rufen ligar appeler chiamare "
	    "связаться" },
	{ REACH | TALK_LAST, true, "kontaktieren erreichen anrufen zuruckrufen terugbellen contacteren "
	    "bereiken" },
	{ REACH | TALK_LAST, false, "bellen" },
	{ LINK, true, "connect connecting transfer transferring transferred connected redirect forward "
	    "transferir transferer trasferire verbinden verbinde weiterleiten doorverbinden" },
	{ LINK, false, "pass patch switch hand handed route refer conectar collegare passez mettez mettre "
	    "passi passa passar polacz соедините" },
	{ PUT, false, "put putting hook stellen" },
	{ THROUGH, true, "through" },
	{ THROUGH, false, "thru trough thorugh throught durch door" },
	{ BACK | FILLER, false, "back bac bk bakc zuruck terug" },
	{ CALLBACK, true, "callback callbacks ruckruf" },
	{ ESCALATE, true, "escalate escalating escalation" },
	{ ROLE, true, "agent agents operator operators representative representatives adviser advisor "
	    "advisers advisors consultant assistant assistants associate supervisor supervisors manager "
	    "managers attendant mitarbeiter mitarbeiterin mitarbeitern berater beraterin kundenberater "
	    "ansprechpartner conseiller conseillere operateur operatrice representant interlocuteur agente "
	    "agentes operador operadora operadores representante asesor asesora empleado operatore "
	    "rappresentante consulente addetto atendente medewerker medewerkers medewerkster "
	    "vertegenwoordiger consultants" },
	{ ROLE, false, "rep reps csr boss agt konsultant konsultantem pracownikiem оператор оператором "
	    "оператору оператора менеджером консультантом сотрудником" },
	{ ROLE | HUMAN | REAL | LIVE, true, "human humans" },
	{ ROLE | HUMAN, true, "mensch menschen humain humaine humano humana umano umana" },
	{ ROLE | HUMAN, false, "mens mensen being beings manniska menneske czlowiekiem человек человеком" },
	{ BODY, true, "someone somebody person anyone anybody individual jemand jemanden jemandem personne "
	    "quelquun alguien persona qualcuno pessoa alguem iemand persoon nobody noone" },
	{ BODY, false, "guy man woman lady dude sombody sumone sum1 some1 any1 sm1" },
	{ PEOPLE, false, "people ppl persons personas pessoas" },
	{ EXPERT, true, "specialist expert employee technician colleague employees specialists experts" },
	{ EXPERT, false, "staff clerk member members" },
	{ TEAM | HELP, true, "support service assistance" },
	{ TEAM | HELP, false, "assistanc assistane assistan asistance" },
	{ TEAM, true, "department helpdesk services kundenservice kundendienst klantenservice" },
	{ TEAM, false, "team care sales billing desk voice" },
	{ REAL | LIVE, false, "live alive liev lvie liive livve lve livr" },
	{ REAL, true, "actual living breathing verdadera" },
	{ REAL, false, "real rael reall rreal reaal reales reale flesh echt echte echten echter echtes vrai "
	    "vraie vero vera menschlich menschlichen menschlicher живым живой" },
	{ BOT, true, "robot robots machine machines computer computers automated automatic recording "
	    "maschine roboter maquina macchina algorithm" },
	{ BOT, false, "software program" },
	{ BOT | CHATBOT, true, "chatbot chatbots" },
	{ BOT | CHATBOT, false, "bot bots ai" },
	{ NOT, true, "nicht dont doesnt didnt wouldnt" },
	{ NOT, false, "not dnt no never wont stop pas niet non nao kein keine keinen geen" },
	{ CANNOT, false, "cant cannot couldnt isnt arent not dont doesnt didnt wont never" },
	{ WANT, true, "want need needing request require prefer would looking seeking" },
	{ WANT, false, "assign wnat wanna wan wants wanting nedd demand request requesting gimme lemme id "
	    "will give get getting bring find let looking rather insist mochte brauche veux voudrais besoin "
	    "quiero necesito quisiera voglio vorrei quero preciso gostaria wil nodig hatte хочу" },
	{ NEED, false, "need needs have has must want" },
	{ LIKE | FILLER, false, "like" },
	{ LIKE, false, "make making force" },
	{ HAVE, false, "have" },
	{ ASKING, false, "ask asking asked tell" },
	{ EXPLAIN, true, "explain explaining describe" },
	{ CAN, false, "can could cn may kann konnte puedo puede pueden podrian peux puis pouvez posso pode "
	    "mag kan kunt should would will" },
	{ DO, false, "do does" },
	{ BE, false, "is are am r re ar be im youre ur theres" },
	{ AM, false, "am im" },
	{ ME, false, "me us mich mir mij moi mi nous" },
	{ I, false, "i we im ive ich je ik" },
	{ THEM, false, "them him her" },
	{ YOU, false, "you u ya sie usted vous" },
	{ IT, false, "it this that" },
	{ WHO, false, "who whom that wer wem qui quien chi quem wie" },
	{ TO | WITH, false, "con com avec mit met med al z с со" },
	{ TO, false, "to too ot tto au zu para 2" },
	{ WITH, false, "with wit wth wiht wih wirh witha" },
	{ BY, false, "by from von par por da door" },
	{ FOR, false, "for" },
	{ IN, false, "in" },
	{ A, true, "einem einen einer" },
	{ A, false, "a an any some one of ein eine een un une uno una um uma" },
	{ THE, false, "the der die das den dem le la el il o os" },
	{ OWN, false, "my your yor ur our these those this their" },
	{ ELSE, false, "another different other else" },
	{ FILLER, true, "customer customers bloody fucking freaking goddamn directly actually knowledgeable "
	    "competent qualified" },
	{ FILLER, false, "damn f just even really either maybe still uh um kind nice out over online up in "
	    "at on sie and senior more proper tech technical" },
	{ POLITE, true, "please thanks thank bitte pardon hello immediately gracias obrigado" },
	{ POLITE, false, "pls plz hi hey ok okay sorry so well yo just now asap already quickly por favor "
	    "svp sil vous plait gerne graag alstublieft alsjeblieft per favore yes sir right away instead "
	    "again quick fast aub ffs damn" },
	{ HERE, true, "there available online" },
	{ HERE, false, "here hre around da daar y ce il hay ahi tem ai" },
	{ WORK, false, "work working works alive home awake" },
	{ HELP, true, "help helping helped assist assisting assisted helpful" },
	{ HELP, false, "hep hlep interaction served answered handled" },
	{ DEED, true, "help assist speak talk contact explain answer listen handle resolve solve understand "
	    "investigate" },
	{ DEED, false, "fix look deal sort knows speaks understands check review call chat helping answers "
	    "response responses reply replies messages" },
	{ STEP_IN, false, "take step involved intervene" },
	{ BAD, true, "useless stupid worthless terrible rubbish garbage horrible pathetic idiotic "
	    "ridiculous frustrating annoying hopeless unhelpful" },
	{ BAD, false, "dumb sucks crap shit trash awful" },
	{ FED_UP, false, "sick tired hate fed done annoyed enough refuse stop skip bypass" },
	{ AVOID, true, "without" },
	{ AVOID, false, "than avoid avoiding ohne sans sin senza sem zonder" },
	{ WHILE, false, "was were after when while since before been said told says promised" },
	{ FOLLOW, false, "who that for and not because on i you if as urgently cause cuz since but we at "
	    "today about regarding from or of to with help can will ahora maintenant" },
	{ BLOCK, true, "delivery shipping courier travel estate insurance virtual digital network mobile "
	    "driver seller vendor recipient voice personal property cleaning wrong third forwarding "
	    "about" },
	{ BLOCK, false, "tour bout abt tax ticket bank per each every same second previous google phone" },
	{ THING, true, "account number name price license resources rights error hair login portal profile "
	    "commission discount details nature training" },
	{ THING, false, "fee fees id code job app body plan role size names accounts" },
	/* Common words that look like mistyped ones from above. */
	{ OTHER, false, "what that hat cat coat chart char chap cheat chad walk walking taking task tank "
	    "tall tale hable parle talent peak spending breaking seeking hall fall falling wall ball mall "
	    "calm cell beach each teach teaching react reading searching peach breach contract contracts "
	    "contracted contracting container contain containing contacted connection connections collected "
	    "collecting convert converted conducted correct corrected operation operations operate operates "
	    "operated operating operative manage managed manages represent represents represented "
	    "representing constant consulting state demanded think thinks covers creating changing charging "
	    "cutting hitting getting putting dispute disputes disputed discover disaster expect export root "
	    "roots escalator escalators advise advised employed employer instance nowhere ideal prison "
	    "reason recall recalling password passwords keyword keywords parlato falei humanoid hiring "
	    "iphone ordeal boot boots meet off ill inn ass though thought tough rough went wait wand feed "
	    "none seed deed weed nerd world night three where theme these all air don hot" },
};

/* ---- finding words ---- */

#define ENTRIES_MAX	1536
#define HASHES		1024

struct entry {
	const char		*word;
	size_t			 len;
	uint32_t		 letters;		/* which it has */
	const struct meaning	*means;
	const struct entry	*same_hash;
	const struct entry	*same_letter[2];
};

struct index {
	struct entry		 entry[ENTRIES_MAX];
	size_t			 count;
	const struct entry	*by_hash[HASHES];
	const struct entry	*by_letter[2][UCHAR_MAX + 1];	/* first, second; what may be mistyped */
};

static size_t
hash(const char *word, size_t len)
{
	uint32_t h = 0;

	for (size_t i = 0; i < len; i++)
		h = h * 31 + (unsigned char)word[i];
	return h % HASHES;
}

static uint32_t
letters_of(const char *word, size_t len)
{
	uint32_t set = 0;

	for (size_t i = 0; i < len; i++)
		set |= UINT32_C(1) << (word[i] & 31);
	return set;
}

static void
add_entry(struct index *x, const char *word, size_t len, const struct meaning *means)
{
	struct entry *e = &x->entry[x->count++];
	const struct entry **head = &x->by_hash[hash(word, len)];

	assert(x->count < ENTRIES_MAX);
	*e = (struct entry){ .word = word, .len = len, .letters = letters_of(word, len), .means = means };
	e->same_hash = *head;
	*head = e;
	for (int place = 0; place < 2 && means->typos; place++) {
		head = &x->by_letter[place][(unsigned char)word[place]];
		e->same_letter[place] = *head;
		*head = e;
	}
}

/* Made once from the constant lexicon and never changed afterwards. */
static struct index the_index;
static pthread_once_t index_made = PTHREAD_ONCE_INIT;

static void
make_index(void)
{
	for (size_t i = 0; i < sizeof(lexicon) / sizeof(*lexicon); i++)
		for (const char *p = lexicon[i].words; *p; p += *p == ' ') {
			size_t len = strcspn(p, " ");

			add_entry(&the_index, p, len, &lexicon[i]);
			p += len;
		}
}

uint64_t
lexicon_exact(const char *word, size_t len)
{
	const struct entry *e;
	uint64_t is = 0;

	pthread_once(&index_made, make_index);
	for (e = the_index.by_hash[hash(word, len)]; e; e = e->same_hash)
		if (e->len == len && memcmp(e->word, word, len) == 0)
			is |= e->means->is;
	return is;
}

/* How many typing mistakes a word of this length may have. */
static unsigned
tolerance(size_t len)
{
	return len < 4 ? 0 : len < 8 ? 1 : len < 12 ? 2 : 3;
}

struct guess {
	const struct word	*word;
	uint64_t		 is;
	unsigned		 off;	/* typing mistakes between the word and what it is taken for */
};

#define UNKNOWN		9u		/* more mistakes than any word may have */

/* Are more than n of the bits set?  In a library that is for every processor, counting them is a call. */
static bool
more_than(unsigned n, uint32_t bits)
{
	for (; n && bits; n--)
		bits &= bits - 1;
	return bits != 0;
}

/* The nearest words decide; where several are equally near, it has the meanings of all. */
static void
compare(struct guess *g, uint32_t letters, const struct entry *e)
{
	const struct word *w = g->word;
	unsigned off = 1, most = tolerance(e->len);

	if (w->len + most < e->len || w->len > e->len + most)
		return;
	if (more_than(2 * most, letters ^ e->letters))
		return;		/* one mistake changes two letters at most */
	if (most > g->off)
		most = g->off;
	while (off <= most && !word_near(w->text, w->len, e->word, e->len, off))
		off++;
	if (off > most)
		return;
	g->is = off < g->off ? e->means->is : g->is | e->means->is;
	g->off = off;
}

/* One of the first two letters is right in nearly every mistyped word, though perhaps not in its place. */
static void
look_near(struct guess *g)
{
	uint32_t letters = letters_of(g->word->text, g->word->len);

	for (int place = 0; place < 2; place++)
		for (int i = 0; i < 2; i++) {
			const struct entry *e = the_index.by_letter[place][(unsigned char)g->word->text[i]];

			for (; e; e = e->same_letter[place])
				compare(g, letters, e);
		}
}

/* "ccan", "mme": letters were doubled. */
static uint64_t
find_undoubled(const struct word *w)
{
	char text[WORD_MAX];
	size_t len = 0;

	for (size_t i = 0; i < w->len; i++)
		if (i == 0 || w->text[i] != w->text[i - 1])
			text[len++] = w->text[i];
	return len < w->len ? lexicon_exact(text, len) : 0;
}

uint64_t
lexicon_find(const struct word *w)
{
	struct guess g = { .word = w, .off = UNKNOWN };

	g.is = lexicon_exact(w->text, w->len);
	if (g.is == 0)
		g.is = find_undoubled(w);
	if (g.is == 0 && w->len >= 3)
		look_near(&g);
	return g.is;
}
