#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "services/search_words.h"

/*
 * Stop words, a list for each language; every list begins and ends with a space.  The English one also has what people
 * say around a question to a shop ("hi, I would like to know if it is possible to…").
 */
static const char *const stop_words[] = {
	/* English, always applied */
	" a able about actually after again all also am an and another any anybody anyone anything anyway "
	"are aren as ask asking at away be because been before being both but by bye can cannot cant come "
	"could couldn d dear did didn do does doesn doing don done dont each either else etc even ever "
	"every few for from get gets getting give go goes going gonna good got greetings had happen happens "
	"has hasn have haven having he hello help her here hey hi him his how however i id if im in info "
	"information inform into is isn it its itself ive just kind kindly know let like ll lot m make "
	"makes many may maybe me mean might mine more most much must my myself need needed needs no nor not "
	"now of off ok okay on one only or other our out over own per perhaps please pls plz possible "
	"possibly quite r re really regarding regards s same say see shall she should shouldn sir so some "
	"somehow someone something sorry still such suppose sure t tell than thank thanks that the their "
	"them then there these they thing things think this those though through thx to too u unto until up "
	"us ve very want wanna wanted was wasn way we well were weren what whats when where whether which "
	"while who whom whose why will wish with within without won wonder wondering would wouldn ya yeah "
	"yes yet you your yours yourself assist assistance assistant assisting helping helps seeing soon ur "
	"trying tried above below certain actual anymore between question questions quick explain under "
	"understand around during ",
	/* German */
	" aber alle allem allen aller alles als also am an andere auch auf aus bei beim bin bis bist bitte "
	"da damit dann das dass dein deine dem den denn der des dich die dies diese dieser dieses dir doch "
	"du durch eigentlich ein eine einem einen einer eines er es etwas euch euer eure fur für gegen "
	"gehen geht gerne gern gibt guten habe haben hallo hat hatte hier ich ihm ihn ihnen ihr ihre ihren "
	"ihrem im in ist ja jede jeder kann kannst kein keine können konnen könnte könnten mal man mehr "
	"mein meine meinem meinen meiner mich mir mit möchte mochte muss müssen nach nicht nichts noch nun "
	"nur ob oder ohne schon sehr sein seine sich sie sind so soll sollte um und uns unser unsere unter "
	"viel vom von vor wann war warum was welche welchem welchen welcher welches wem wen wenn wer werde "
	"werden wie wieder will wir wird wo würde wurde über uber zu zum zur sagen wissen frage danke tag ",
	/* French */
	" à a afin ai aller alors après as au aussi autre aux avec avez avoir avons bien bonjour bonsoir c "
	"ça ce cela ces cet cette ceux chez ci combien comme comment d dans de depuis des dit dois donc du "
	"elle elles en encore est et été être etre eu faire fait faut il ils j je jusqu l la là le les leur "
	"leurs lui m ma mais me même merci mes moi mon n ne nos notre nous on ont ou où par pas peut peux "
	"plus pour pourquoi puis qu quand que quel quelle quelles quels qui quoi s sa sans se sera ses si "
	"son sont sous suis sur svp t ta te tes toi ton tous tout toute très tu un une vais veux voici "
	"votre vos voudrais vous y plaît plait savoir ",
	/* Spanish */
	" a al algo algún alguna ante aquí como cómo con cual cuál cuales cuáles cuando cuándo de del desde "
	"donde dónde dos el él ella ellas ellos en entre era eres es esa ese eso esta está estaba estan "
	"están este esto estos estoy favor fue ha hace hacer hacia han hasta hay he hola la las le les lo "
	"los mas más me mi mis mucho muy nada ni no nos nosotros o os otra otro para pero por porque porqué "
	"puede puedo pueden puedes que qué quien quién quiero quiere quisiera se sea ser si sí sin sobre "
	"son soy su sus también tan te tengo tiene tienen tienes todo todos tu tus un una uno unos usted "
	"ustedes va y ya yo gracias saber ",
	/* Italian */
	" a ad ai al alla alle anche avere c che chi ci ciao co come con cosa cui da dai dal dalla dei del "
	"della delle di dopo dove due e è ed era essere fa fare favore fra gli grazie ha hanno hai ho i il "
	"in io l la le lei lo loro lui ma mi mia mie miei mio molto nei nel nella no noi non nostro o ogni "
	"per perché perche più piu può puoi posso possono qual quale quali quando quanto quella quello "
	"questa questo qui se sei si sì sia sono sta sto su sua sugli sul sulla suo suoi tra tu tua tuo "
	"tutti tutto un una uno vi voglio voi vorrei vostro sapere ",
	/* Portuguese */
	" a ao aos as às até com como da das de dele depois do dos e é ela elas ele eles em entre era essa "
	"esse esta está este estou eu faz fazer foi há isso isto já la lhe mais mas me meu meus minha "
	"minhas muito na nas não nao nem no nos nossa nosso num o obrigado obrigada olá ola onde os ou para "
	"pela pelas pelo pelos por porque posso pode podem pra qual quais quando que quem quero queria se "
	"sem ser seu seus só sua suas também te tem têm tenho ter teu tu tudo um uma umas uns você voce "
	"vocês vos favor saber ",
	/* Dutch */
	" aan al alles als altijd andere ben bij daar dan dat de der deze die dit doen door dus een eens en "
	"er ge geen graag had hallo heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je "
	"jij jou jouw jullie kan kun kunnen kunt maar me meer men met mij mijn moet moeten mag na naar niet "
	"niets nog nu of om omdat onder ons onze ook op over te tegen toch toen tot u uit uw van veel voor "
	"waar waarom wanneer want waren was wat weet welk welke wie wil wilt wij willen worden wordt zal ze "
	"zich zij zijn zo zonder zou dank bedankt alstublieft weten ",
	/* Swedish, Danish, Norwegian */
	" alla alle allt alt att at av blir blive da de dem den denna denne der det detta dette där du då "
	"efter eller en er et ett för for från fra få får ha han har hej hei hon hur hvad hva hvem hvis "
	"hvor hvordan hvornår här i ikke ikkje in inte ja jag jeg kan kunde man med men mig min mina mit "
	"mitt mycket må når när ni nu och og om op på sig sin ska skal skulle som så tack tak takk til till "
	"ut vad var vara vem vi vid vil vill vilken være är åt över ",
	/* Polish */
	" a aby ale bardzo bez bo być by był była czy co dla do gdy gdzie go i ich ile ja jak jaka jaki "
	"jakie jako je jest jestem jeszcze już juz kiedy kto która które który ma mam mamy mnie mogę moge "
	"moje mój może można na nam nas nie o od on ona one oraz po pod proszę prosze przez przy się sie są "
	"sa tak też ten ta to tu tym w was wam we z za ze że dziękuję cześć dzień dobry chcę ",
	/* Russian, Ukrainian */
	" а без более бы был была были было быть в вам вас ваш ваша ваши во вот все всё вы где да для до его "
	"ее её если есть еще ещё ж же за здравствуйте и из или им их к как какая какие какой ко когда кто "
	"ли мне можно мой моя мы на надо нам нас не него нет ни но ну о об он она они оно от очень по под "
	"пожалуйста подскажите при про с сколько со спасибо так также там то только ты у уже хочу чего чем "
	"что чтобы это этот я мои могу можете добрый день привет як чи що ви це та від де коли є ",
	/* Greek */
	" και το τα του των την τον της τις οι ο η στο στη στην στον στα στις με για από σε είναι ειναι να "
	"θα που πώς πως πότε ποτε τι πού ποιο ποια ποιος αν δεν μη μην μου σας μας σου μπορώ μπορω μπορείτε "
	"ένα ενα μια μία ένας εγώ εσείς έχω έχετε έχει υπάρχει κάνω πόσο ποσο αυτό αυτή καλημέρα γεια σασ "
	"ευχαριστώ παρακαλώ ή ",
	/* Turkish */
	(" acaba ama bana bir biz bu çok da daha de diye en gibi hangi ile için ise kadar ki kim mi mı mu mü "
	"miyim musunuz ne neden nasıl nerede o olarak sen siz şu var ve veya ya zaman merhaba lütfen "
	"teşekkürler istiyorum "),
};

#define LANGUAGES	(sizeof(stop_words) / sizeof(stop_words[0]))

/* Frequent in questions about anything, so that they cannot carry an answer alone. */
static const char weak_words[] =
	" ask back best big buy called case check class day days different difference difficult easy end "
	"fast find first follow found great happened hard hour hours idea keep last late left long longer "
	"look looking lost made meaning minute minutes money month months name new next number old part "
	"people person place problem put read right run send set show small someone start stop switch take "
	"taken talk time times today tomorrow tonight town try turn type use used using wait week weeks "
	"word words work working works world write wrong year years yesterday issue checking chat company "
	"customer demand demanding expect expected having learn list listing modality modalities obtain "
	"online problems request requesting services service speak talking user usershappy love live bad "
	"nice accept method methods option options way ways zeit tage tag jahr heute morgen temps jour "
	"jours tiempo día dias días hoy tempo giorno giorni dag dagen время день дней ";

/* Characters that are grammar, not meaning, in Chinese and Japanese; they end a run of characters. */
static const char stop_characters[] = "的了吗呢吧啊和与是我你您他她们在有么什怎样请个这那可以能想要会也都就の";

const char *const words_synonyms[] = {
	"delivery deliver delivers shipping ship shipment dispatch postage courier arrive arrival",
	"parcel package packet",
	"refund reimburse reimbursement restitution rebate compensation money_back",
	"return returning send_back sending_back",
	"exchange swap replace replacement",
	"cost price fee charge pricing how_much",
	"pay payment paid",
	"broken broke damaged damage defective defect faulty fault cracked crack smashed shattered",
	"open opening hours close closed closing",
	"phone telephone call",
	"contact reach",
	"cancel cancellation cancelling",
	"account profile",
	"login log_in sign_in signin logon",
	"register registration sign_up signup",
	"voucher gift_card giftcard gift_certificate",
	"discount coupon promo promotion",
	"delete remove erase deletion erasure removal",
	"invoice bill receipt",
	"email e_mail mail",
	"reset recover recovery restore retrieve forgot forgotten",
	"item article product",
	"redeem use",
	"long time duration",
	"warranty guarantee guaranteed",
	"clean cleaning wash washing rinse",
	"bulb lightbulb light_bulb",
	"abroad international overseas worldwide foreign country countries",
	"change modify update edit amend alter",
	"tracking track trace",
	"purchase buy bought sell sold",
	"purchase order",
	"password pwd passcode",
	"newsletter mailing_list",
	"unsubscribe opt_out",
	"late delayed delay overdue",
	"lost missing",
	"expire expiry expiration valid validity",
	"free complimentary",
	"repair fix mend",
	"wrong incorrect",
	"allergy allergen allergic allergies",
	"child children kid kids",
	"weekend saturday sunday",
	"available availability in_stock",
	"collect pickup pick_up collection",
	"privacy personal_data gdpr",
	"shop store",
	"job career vacancy hiring vacancies",
	"instalment installment instalments installments",
	"brew steep infuse",
	"versand lieferung zustellung lieferzeit liefern",
	"rückgabe rücksendung retoure widerruf zurückgeben zurückschicken umtausch umtauschen",
	"bezahlen zahlung zahlen zahlungsart",
	"öffnungszeiten geöffnet",
	"livraison expédition livrer",
	"remboursement rembourser",
	"envío entrega",
	"reembolso devolución",
};
const size_t words_synonym_groups = sizeof(words_synonyms) / sizeof(words_synonyms[0]);

/* What greets, what thanks, and what may stand beside it. */
static const char greetings[] =
	" hello hi hey hiya howdy greetings hallo guten grüß buenos buenas bom boa god добрый moin servus "
	"bonjour bonsoir salut hola ciao salve buongiorno olá ola hej hei cześć привет здравствуйте γεια "
	"merhaba selam hoi dag morning afternoon evening こんにちは 你好 您好 안녕하세요 สวัสดี ";
static const char thanks[] =
	" thanks thank thx ty cheers danke merci gracias grazie obrigado obrigada bedankt dank tack takk tak "
	"dziękuję спасибо ευχαριστώ teşekkürler ありがとう 谢谢 감사합니다 ขอบคุณ ";
static const char small_company[] =
	" good day there all everyone you very much so a lot many team again tag morgen abend gott vielen "
	"schön jour días dias tardes noches muchas beaucoup mille dia tarde день σας je wel the sir madam "
	"assistant bot chatbot and ";

/* Bits of a word: one for each language that has it as a stop word, then these. */
#define WORD_WEAK	(1u << 28)
#define WORD_THANKS	(1u << 29)
#define WORD_GREETS	(1u << 30)
#define WORD_COMPANY	(1u << 31)

#define LEXICON_SLOTS	4096u	/* a power of two, more than twice the number of words */

struct entry {
	const char	*word;		/* points into the lists above; ends at a space */
	uint32_t	 len;
	uint32_t	 bits;
};

struct lexicon {
	struct entry	*entries;	/* the first is unused, slot 0 means free */
	size_t		 count, cap;
	uint16_t	 slots[LEXICON_SLOTS];
};

/* FNV-1a */
static uint32_t
hash(const char *word, size_t len)
{
	uint32_t h = str_hash(word, len);

	return h ^ h >> 15;
}

/* The slot that has the word, or the free one where it belongs. */
static uint16_t
slot_of(const struct lexicon *l, const char *word, size_t len)
{
	uint32_t i = hash(word, len) % LEXICON_SLOTS;

	for (; l->slots[i] != 0; i = (i + 1) % LEXICON_SLOTS) {
		const struct entry *e = &l->entries[l->slots[i]];

		if (e->len == len && memcmp(e->word, word, len) == 0)
			break;
	}
	return (uint16_t)i;
}

static uint32_t
bits_of(const struct lexicon *l, const char *word, size_t len)
{
	uint16_t entry = l->slots[slot_of(l, word, len)];

	return entry ? l->entries[entry].bits : 0;
}

static enum hl_err
add_word(struct lexicon *l, const char *word, size_t len, uint32_t bit)
{
	uint16_t slot = slot_of(l, word, len);

	if (l->slots[slot] == 0) {
		if (l->count >= l->cap) {
			size_t cap = l->cap ? l->cap + l->cap / 2 : 512;
			struct entry *more = realloc(l->entries, cap * sizeof(*more));

			if (more == NULL)
				return HL_NO_MEMORY;
			l->entries = more;
			l->cap = cap;
		}
		if (l->count >= LEXICON_SLOTS / 2)
			return HL_INTERNAL;
		l->slots[slot] = (uint16_t)l->count;
		l->entries[l->count++] = (struct entry){ .word = word, .len = (uint32_t)len };
	}
	l->entries[l->slots[slot]].bits |= bit;
	return HL_OK;
}

static enum hl_err
add_list(struct lexicon *l, const char *list, uint32_t bit)
{
	enum hl_err err = HL_OK;

	for (const char *p = list + 1; *p != '\0' && err == HL_OK; ) {
		size_t len = strcspn(p, " ");

		err = add_word(l, p, len, bit);
		p += len + 1;
	}
	return err;
}

enum hl_err
lexicon_new(struct lexicon **ret)
{
	struct lexicon *l = calloc(1, sizeof(*l));
	enum hl_err err = l ? HL_OK : HL_NO_MEMORY;

	if (l != NULL)
		l->count = 1;
	for (uint32_t i = 0; i < LANGUAGES && err == HL_OK; i++)
		err = add_list(l, stop_words[i], 1u << i);
	if (err == HL_OK)
		err = add_list(l, weak_words, WORD_WEAK);
	if (err == HL_OK)
		err = add_list(l, greetings, WORD_GREETS);
	if (err == HL_OK)
		err = add_list(l, thanks, WORD_THANKS);
	if (err == HL_OK)
		err = add_list(l, small_company, WORD_COMPANY);
	if (err) {
		lexicon_free(l);
		l = NULL;
	}
	*ret = l;
	return err;
}

void
lexicon_free(struct lexicon *l)
{
	if (l != NULL)
		free(l->entries);
	free(l);
}

/* Scripts that put no spaces between words, and Korean, whose endings are joined to the word. */
static bool
unspaced(uint32_t c)
{
	static const struct { uint32_t first, last; } scripts[] = {
		{ 0x0e00, 0x0eff }, { 0x0f00, 0x0fff }, { 0x1000, 0x109f }, { 0x1780, 0x17ff }, { 0x2e80, 0x2fdf },
		{ 0x3005, 0x3007 }, { 0x3040, 0x312f }, { 0x31f0, 0x31ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff },
		{ 0xac00, 0xd7af }, { 0xf900, 0xfaff }, { 0xff66, 0xff9f }, { 0x20000, 0x323af },
	};

	if (c < 0x0e00)
		return false;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		if (c >= scripts[i].first && c <= scripts[i].last)
			return true;
	return false;
}

static bool
is_hiragana(uint32_t c)
{
	return c >= 0x3040 && c <= 0x309f;
}

/* Thai, Lao, Burmese, Khmer: letters rather than syllables, so a pair of them means too little. */
static bool
is_alphabetic(uint32_t c)
{
	return c >= 0x0e00 && c <= 0x17ff;
}

void
words_spaced(struct buf *out, const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	bool gap = false;

	while (p < end) {
		const char *start = p;

		if (!unspaced(utf8_next(&p, end))) {
			gap = out->len > 0;
			continue;
		}
		if (gap)
			buf_puts(out, " 0");	/* a word between, so that no phrase spans the gap */
		gap = false;
		buf_putc(out, ' ');
		buf_add(out, start, (size_t)(p - start));
	}
}

/* The words of one question while they are collected. */
struct collector {
	const struct lexicon *lexicon;
	struct word	*words;
	size_t		 count, max;
	bool		 joined;	/* no word lies between this one and the one collected before */
	uint32_t	 run[3];	/* the last characters of a run without spaces */
	size_t		 run_len;
	uint32_t	 stops;		/* the languages whose stop words are left out */
};

static void
collect(struct collector *c, const struct buf *text)
{
	struct word *w = &c->words[c->count];

	if (c->count == c->max || text->err != HL_OK || text->len == 0 || text->len >= WORD_BYTES)
		return;
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->words[i].text, text->data) == 0) {
			c->joined = false;
			return;
		}
	memcpy(w->text, text->data, text->len + 1);
	w->weak = (bits_of(c->lexicon, text->data, text->len) & WORD_WEAK) != 0;
	w->follows = c->joined;
	c->joined = true;
	c->count++;
}

static bool
is_stop_character(uint32_t ch, struct buf *scratch)
{
	buf_reset(scratch);
	utf8_put(scratch, ch);
	return scratch->err == HL_OK && strstr(stop_characters, scratch->data) != NULL;
}

/* Two or three neighbouring characters as a phrase.  Hiragana alone is nearly always grammar. */
static void
collect_run(struct collector *c, uint32_t ch, struct buf *scratch)
{
	size_t n = is_alphabetic(ch) ? 3 : 2, first;

	if (is_stop_character(ch, scratch)) {
		c->run_len = 0;
		return;
	}
	if (c->run_len == 3) {
		memmove(c->run, c->run + 1, 2 * sizeof(c->run[0]));
		c->run_len = 2;
	}
	c->run[c->run_len++] = ch;
	if (c->run_len < n)
		return;
	first = c->run_len - n;
	if (is_hiragana(c->run[first]) && is_hiragana(c->run[first + 1]))
		return;
	buf_reset(scratch);
	for (size_t i = first; i < c->run_len; i++) {
		if (i > first)
			buf_putc(scratch, ' ');
		utf8_put(scratch, c->run[i]);
	}
	collect(c, scratch);
}

static bool
is_stop(const struct collector *c, const struct buf *word)
{
	return (bits_of(c->lexicon, word->data, word->len) & c->stops) != 0;
}

static bool
no_information(const char *word, size_t len)
{
	return len == 1 && (unsigned char)*word < 0x80;
}

/*
 * Calls each(arg, word) for every run of letters and digits, case folded, and run(arg, c) for a character of a script
 * without spaces, run(arg, 0) where a row of such characters ends.
 */
static void
scan(const char *text, size_t len, void (*each)(void *, struct buf *), void (*run)(void *, uint32_t, struct buf *),
    void *arg)
{
	const char *p = text, *end = text + len;
	struct buf word = BUF_INIT(WORDS_QUESTION), scratch = BUF_INIT(64);
	bool row = false;

	while (p < end) {
		uint32_t c = utf8_next(&p, end);
		bool letter = c != 0xfffd && uni_is_letter_or_digit(c), alone = letter && unspaced(c);

		if (letter && !alone)
			utf8_put(&word, uni_fold(c));
		if ((!letter || alone || p == end) && word.len > 0) {
			each(arg, &word);
			buf_reset(&word);
		}
		if (alone || row)
			run(arg, alone ? c : 0, &scratch);
		row = alone;
	}
	buf_free(&word);
	buf_free(&scratch);
}

static void
each_word(void *arg, struct buf *word)
{
	struct collector *c = arg;

	if (word->err == HL_OK && !no_information(word->data, word->len) && !is_stop(c, word))
		collect(c, word);
	else
		c->joined = false;
}

static void
each_character(void *arg, uint32_t ch, struct buf *scratch)
{
	struct collector *c = arg;

	if (ch == 0)
		c->run_len = 0;
	else
		collect_run(c, ch, scratch);
}

struct votes {
	const struct lexicon *lexicon;
	size_t		 of[LANGUAGES];
};

static void
vote(void *arg, struct buf *word)
{
	struct votes *v = arg;
	uint32_t bits = word->err == HL_OK ? bits_of(v->lexicon, word->data, word->len) : 0;

	for (size_t i = 0; i < LANGUAGES; i++)
		v->of[i] += bits >> i & 1;
}

static void
ignore_character(void *arg, uint32_t ch, struct buf *scratch)
{
	(void)arg;
	(void)ch;
	(void)scratch;
}

/*
 * A word of one language is a stop word of another ("hat", "die", "son"), so only the question's own language counts:
 * the one that more of its words are stop words of than English, if any.
 */
static uint32_t
stops_of(const struct lexicon *l, const char *text, size_t len)
{
	struct votes v = { .lexicon = l };
	size_t best = 0;

	scan(text, len, vote, ignore_character, &v);
	for (size_t i = 1; i < LANGUAGES; i++)
		if (v.of[i] > v.of[best])
			best = i;
	return 1u | 1u << best;
}

size_t
words_of(const struct lexicon *l, const char *text, size_t len, struct word *ret_words, size_t max)
{
	struct collector c = { .lexicon = l, .words = ret_words, .max = max };

	len = utf8_cut(text, len, WORDS_QUESTION);
	c.stops = stops_of(l, text, len);
	scan(text, len, each_word, each_character, &c);
	return c.count;
}

struct small {
	const struct lexicon *lexicon;
	bool		 greets, thanks, other;
};

static void
small_word(void *arg, struct buf *word)
{
	struct small *t = arg;
	uint32_t bits = word->err == HL_OK ? bits_of(t->lexicon, word->data, word->len) : 0;

	if (bits & WORD_GREETS)
		t->greets = true;
	else if (bits & WORD_THANKS)
		t->thanks = true;
	else if (!(bits & WORD_COMPANY))
		t->other = true;
}

static void
small_character(void *arg, uint32_t ch, struct buf *scratch)
{
	struct small *t = arg;

	(void)scratch;
	t->other |= ch != 0;
}

/* What is said without spaces is compared as it stands, but for the punctuation at its end. */
static uint32_t
whole_bits(const struct lexicon *l, const char *text, size_t len)
{
	while (len > 0 && (unsigned char)text[len - 1] < 0x80)
		len--;
	if (len >= 3 && (memcmp(text + len - 3, "！", 3) == 0 || memcmp(text + len - 3, "。", 3) == 0))
		len -= 3;
	return len > 0 && len < WORD_BYTES ? bits_of(l, text, len) : 0;
}

enum small_talk
words_small_talk(const struct lexicon *l, const char *text, size_t len)
{
	struct small t = { .lexicon = l };
	uint32_t whole;

	if (len > 80)
		return TALK_NONE;
	scan(text, len, small_word, small_character, &t);
	if (!t.other && (t.greets || t.thanks))
		return t.greets ? TALK_GREETING : TALK_THANKS;
	whole = whole_bits(l, text, len);
	return whole & WORD_GREETS ? TALK_GREETING : whole & WORD_THANKS ? TALK_THANKS : TALK_NONE;
}

bool
words_stop_misspelt(const char *word)
{
	size_t len = strlen(word);

	if (len < 4)
		return false;
	for (const char *p = stop_words[0] + 1; *p != '\0'; ) {
		size_t n = strcspn(p, " ");

		if (n >= 4 && words_share_an_end(word, len, p, n) && words_near(word, len, p, n))
			return true;
		p += n + 1;
	}
	return false;
}

static size_t
characters(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static bool
continues(const char *s, size_t i, size_t len)
{
	return i < len && ((unsigned char)s[i] & 0xc0) == 0x80;
}

/* "ab" and "ba", a and b being one character each. */
static bool
swapped(const char *a, size_t na, const char *b, size_t nb)
{
	size_t first = 1;

	if (na != nb || characters(a, na) != 2)
		return false;
	while (continues(a, first, na))
		first++;
	return memcmp(a, b + na - first, first) == 0 && memcmp(a + first, b, na - first) == 0;
}

bool
words_near(const char *a, size_t na, const char *b, size_t nb)
{
	size_t head = 0, tail = 0, ca, cb;

	while (head < na && head < nb && a[head] == b[head])
		head++;
	while (head > 0 && (continues(a, head, na) || continues(b, head, nb)))
		head--;
	while (tail < na - head && tail < nb - head && a[na - 1 - tail] == b[nb - 1 - tail])
		tail++;
	while (tail > 0 && (continues(a, na - tail, na) || continues(b, nb - tail, nb)))
		tail--;
	a += head, na -= head + tail;
	b += head, nb -= head + tail;
	ca = characters(a, na);
	cb = characters(b, nb);
	return (ca <= 1 && cb <= 1 && ca + cb > 0) || swapped(a, na, b, nb);
}
