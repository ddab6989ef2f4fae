/* test_lin_read.c - readers: what is well formed is read, what is damaged is named. */
#include "sim/lin/lin.h"
#include "tests/lin/libc_mem.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define HEAD "{\"linhist\":1,\"default\":null,\"init\":{}}\n"
#define PUT                                                                               \
    "{\"client\":1,\"op\":\"put\",\"key\":\"k\",\"value\":\"a\",\"call\":1,\"return\":2," \
    "\"outcome\":\"ok\"}\n"

static struct mem mem;

/* Reads; on a refusal the message must hold `says` (NULL: it must be accepted). */
static bool reads(const char *text, const char *says)
{
    struct lin_history h;
    struct err err = {""};
    lin_history_init(&h, &mem);
    enum status st = lin_jsonl_read(&h, "f.jsonl", slice_text(text), &err);
    lin_history_release(&h);
    bool good = says == NULL ? st == ST_OK : st == ST_CORRUPT && strstr(err.text, says) != NULL;
    if (!good) {
        printf("# status %d, message: %s\n", (int)st, err.text);
    }
    return good;
}

static void jsonl__damage_is_named_with_its_line(void)
{
    EXPECT(reads(HEAD PUT, NULL));
    EXPECT(reads("", "f.jsonl:1: the file is empty"));
    EXPECT(reads(PUT, "f.jsonl:1: the header has no"));
    EXPECT(reads("{\"linhist\":2}\n", "f.jsonl:1: this version"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"put\",\"key\":\"k\"", "f.jsonl:2: "));
    EXPECT(reads(HEAD PUT "{\"client\":1", "f.jsonl:3: "));
    EXPECT(reads(HEAD PUT "x\n", "f.jsonl:3: an object was expected"));
    EXPECT(reads("{\"linhist\":1,\"ops\":2}\n" PUT, "f.jsonl:2: the header says 2 operations"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"pop\",\"key\":\"k\",\"call\":1,\"return\":2,"
                      "\"outcome\":\"ok\"}\n",
                 "f.jsonl:2: unknown operation"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"call\":3,\"return\":2,"
                      "\"outcome\":\"ok\"}\n",
                 "f.jsonl:2: the operation returns before its call"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"call\":3,\"return\":null,"
                      "\"outcome\":\"ok\"}\n",
                 "f.jsonl:2: the outcome is ok but there is no return"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"call\":3,\"return\":4,"
                      "\"outcome\":\"yes\"}\n",
                 "f.jsonl:2: unknown outcome"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"put\",\"key\":\"k\",\"call\":3,\"return\":4,"
                      "\"outcome\":\"ok\"}\n",
                 "f.jsonl:2: a field is missing"));
    EXPECT(reads(HEAD "{\"client\":1,\"client\":1}\n", "f.jsonl:2: a field is there twice"));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"incr\",\"key\":\"k\",\"value\":\"1x\",\"call\":1,"
                      "\"return\":2,\"outcome\":\"ok\"}\n",
                 "f.jsonl:2: the value of incr"));
}

static void jsonl__two_open_operations_of_a_client_are_named(void)
{
    EXPECT(reads(HEAD PUT "{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"result\":null,\"call\":1,"
                          "\"return\":3,\"outcome\":\"ok\"}\n",
                 "f.jsonl:3: client 1 has two operations open"));
    /* In the other order of lines too, and after an unknown outcome. */
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"call\":7,\"return\":9,"
                      "\"outcome\":\"ok\"}\n"
                      "{\"client\":1,\"op\":\"del\",\"key\":\"k\",\"call\":2,\"return\":null,"
                      "\"outcome\":\"info\"}\n",
                 "f.jsonl:3: client 1 has two operations open"));
}

static void jsonl__lists_are_checked(void)
{
#define SCAN(result)                                                                  \
    HEAD "{\"client\":1,\"op\":\"scan\",\"lo\":\"b\",\"hi\":\"d\",\"result\":" result \
         ",\"call\":1,\"return\":2,\"outcome\":\"ok\"}\n"
    EXPECT(reads(SCAN("[]"), NULL));
    EXPECT(reads(SCAN("[[\"b\",\"1\"],[\"c\",\"2\"]]"), NULL));
    EXPECT(reads(SCAN("[[\"c\",\"1\"],[\"b\",\"2\"]]"), "ascending"));
    EXPECT(reads(SCAN("[[\"d\",\"1\"]]"), "outside its range"));
    EXPECT(reads(SCAN("[[\"b\",null]]"), "f.jsonl:2: "));
#define BATCH(ops, result)                                                   \
    HEAD "{\"client\":1,\"op\":\"batch\",\"ops\":" ops ",\"result\":" result \
         ",\"call\":1,\"return\":2,\"outcome\":\"ok\"}\n"
    EXPECT(reads(BATCH("[[\"get\",\"a\"],[\"put\",\"b\",\"1\"]]", "[null,null]"), NULL));
    EXPECT(reads(BATCH("[[\"get\",\"a\"],[\"put\",\"b\",\"1\"]]", "[null]"), "f.jsonl:2: "));
    EXPECT(reads(BATCH("[[\"get\",\"a\"]]", "[null,null]"), "longer than its ops"));
    EXPECT(reads(BATCH("[[\"scan\",\"a\"]]", "[null]"), "f.jsonl:2: "));
}

/* The first strings of a history may all be empty: nothing is stored then. Found by fuzzing. */
static void jsonl__empty_strings_come_first(void)
{
    struct lin_history h;
    struct err err;
    lin_history_init(&h, &mem);
    EXPECT(lin_jsonl_read(&h, "t", slice_text("{\"linhist\":1,\"init\":{\"\":\"\",\"a\":\"\"}}\n"),
                          &err) == ST_OK);
    lin_history_release(&h);
}

static void jsonl__escapes_and_foreign_fields(void)
{
    EXPECT(reads(HEAD "{\"z\":[1,{\"y\":[\"\\u0041\",null]},-1.5e3],\"client\":1,\"op\":\"put\","
                      "\"key\":\"\\ud83d\\ude00\\n\",\"value\":\"\\\"\",\"call\":1,\"return\":2,"
                      "\"outcome\":\"ok\"}\n",
                 NULL));
    EXPECT(reads(HEAD "{\"client\":1,\"op\":\"del\",\"key\":\"\\ud83d\",\"call\":1,\"return\":2,"
                      "\"outcome\":\"ok\"}\n",
                 "surrogate"));
    EXPECT(reads(HEAD "{\"z\":[1,{\"y\":2]}}\n", "f.jsonl:2: "));
}

/* Every cut of a good file is refused or is a shorter good file; nothing crashes. */
static void jsonl__every_cut_is_survived(void)
{
    static const char text[] = SCAN("[[\"b\",\"\\u00e9\"]]") PUT;
    for (size_t n = 0; n < sizeof text; n++) {
        struct lin_history h;
        lin_history_init(&h, &mem);
        char *exact = malloc(n > 0 ? n : 1);
        EXPECT(exact != NULL);
        memcpy(exact, text, n);
        enum status st = lin_jsonl_read(&h, "f", slice_of(exact, n), NULL);
        EXPECT(st == ST_OK || st == ST_CORRUPT);
        free(exact);
        lin_history_release(&h);
    }
}

static void jsonl__what_is_written_reads_the_same(void)
{
    static const char text[] =
        "{\"linhist\":1,\"default\":\"\",\"init\":{\"k\":\"1\"},\"ops\":7,\"clients\":7}\n"
        "{\"client\":0,\"op\":\"cas\",\"key\":\"k\",\"expect\":null,\"value\":\"b\",\"result\":"
        "false,"
        "\"call\":1,\"return\":2,\"outcome\":\"ok\"}\n"
        "{\"client\":1,\"op\":\"incr\",\"key\":\"k\",\"value\":\"-1\",\"result\":\"0\",\"call\":1,"
        "\"return\":2,\"outcome\":\"ok\"}\n"
        "{\"client\":2,\"op\":\"batch\",\"ops\":[[\"get\",\"k\"],[\"cas\",\"k\",null,\"x\"],["
        "\"incr\","
        "\"k\",\"2\"]],\"result\":[\"1\",true,\"3\"],\"call\":3,\"return\":4,\"outcome\":\"ok\"}\n"
        "{\"client\":3,\"op\":\"scan\",\"lo\":\"a\",\"hi\":\"z\",\"result\":[[\"k\",\"1\"]],"
        "\"call\":5,"
        "\"return\":6,\"outcome\":\"ok\",\"index\":9,\"node\":2}\n"
        "{\"client\":4,\"op\":\"append\",\"key\":\"k\",\"value\":\"x\",\"call\":5,\"return\":null,"
        "\"outcome\":\"info\"}\n"
        "{\"client\":5,\"op\":\"del\",\"key\":\"k\",\"call\":5,\"return\":6,\"outcome\":\"fail\"}\n"
        "{\"client\":6,\"op\":\"get\",\"key\":\"k\",\"call\":-5,\"return\":6,\"outcome\":\"ok\"}\n";
    struct lin_history h;
    struct lin_history again;
    struct buf first;
    struct buf second;
    struct err err = {""};
    buf_init(&first, &mem);
    buf_init(&second, &mem);
    lin_history_init(&h, &mem);
    lin_history_init(&again, &mem);
    EXPECT(lin_jsonl_read(&h, "f", slice_text(text), &err) == ST_OK);
    EXPECT(lin_jsonl_write(&h, &first) == ST_OK);
    EXPECT(slice_equal(buf_slice(&first), slice_text(text)));
    EXPECT(lin_jsonl_read(&again, "g", buf_slice(&first), &err) == ST_OK);
    EXPECT(lin_jsonl_write(&again, &second) == ST_OK);
    EXPECT(slice_equal(buf_slice(&first), buf_slice(&second)));
    lin_history_release(&h);
    lin_history_release(&again);
    buf_release(&first);
    buf_release(&second);
}

/* ---- logs of others ---- */

static bool reads_edn(const char *text, enum lin_format format, const char *says,
                      enum lin_result result)
{
    struct lin_history h;
    struct lin_verdict v = {0};
    struct err err = {""};
    lin_history_init(&h, &mem);
    enum status st = lin_edn_read(&h, "f.log", slice_text(text), format, &err);
    bool good = says != NULL
                    ? st == ST_CORRUPT && strstr(err.text, says) != NULL
                    : st == ST_OK && lin_check(&h, NULL, &v) == ST_OK && v.result == result;
    if (!good) {
        printf("# status %d, message: %s, verdict %s\n", (int)st, err.text,
               v.text != NULL ? v.text : "");
    }
    lin_verdict_release(&v);
    lin_history_release(&h);
    return good;
}

#define LOG "INFO  jepsen.util - "

static void porcupine__jepsen_log(void)
{
    static const char good[] = LOG "0\t:invoke\t:read\tnil\n" LOG "1\t:invoke\t:write\t4\n" LOG
                                   "0\t:ok\t:read\tnil\n" LOG "1\t:ok\t:write\t4\n"
                                   "INFO jepsen.core - something else\n" LOG
                                   "2\t:invoke\t:cas\t[4 3]\n" LOG "2\t:ok\t:cas\t[4 3]\n";
    EXPECT(reads_edn(good, LIN_PORCUPINE, NULL, LIN_LINEARIZABLE));
    static const char bad[] = LOG "1\t:invoke\t:write\t4\n" LOG "1\t:ok\t:write\t4\n" LOG
                                  "2\t:invoke\t:cas\t[4 3]\n" LOG "2\t:fail\t:cas\t[4 3]\n";
    EXPECT(reads_edn(bad, LIN_PORCUPINE, NULL, LIN_NON_LINEARIZABLE));
    EXPECT(reads_edn(bad, LIN_EDN, NULL, LIN_LINEARIZABLE)); /* knossos: it did not happen */
    EXPECT(reads_edn(LOG "1\t:ok\t:write\t4\n", LIN_PORCUPINE, "f.log:1: a completion without",
                     LIN_UNKNOWN));
    EXPECT(
        reads_edn(LOG "1\t:invoke\t:push\t4\n", LIN_PORCUPINE, "f.log:1: unknown :f", LIN_UNKNOWN));
}

static void edn__maps(void)
{
    static const char good[] =
        "[{:process 0, :type :invoke, :f :write, :value 1} ; a comment\n"
        " {:process 0, :type :ok, :f :write, :value 1}\n"
        " {:process :nemesis, :type :info, :f :start, :value nil}\n"
        " #jepsen.history.Op{:process 1, :type :invoke, :f :read, :value nil, :time 17}\n"
        " {:process 1, :type :ok, :f :read, :value 1}\n"
        " {:process 2, :type :invoke, :f :txn, :value [[:r x nil] [:w r 3]]}\n"
        " {:process 2, :type :ok, :f :txn, :value [[:r x nil] [:w r 3]]}]\n";
    EXPECT(reads_edn(good, LIN_EDN, NULL, LIN_LINEARIZABLE));
    static const char kv[] = "{:process 0, :type :invoke, :f :put, :key \"a\", :value \"x\"}\n"
                             "{:process 0, :type :ok, :f :put, :key \"a\", :value \"x\"}\n"
                             "{:process 0, :type :invoke, :f :append, :key \"a\", :value \"y\"}\n"
                             "{:process 0, :type :ok, :f :append, :key \"a\", :value \"y\"}\n"
                             "{:process 0, :type :invoke, :f :get, :key \"a\", :value nil}\n"
                             "{:process 0, :type :ok, :f :get, :key \"a\", :value \"yx\"}\n";
    EXPECT(reads_edn(kv, LIN_PORCUPINE, NULL, LIN_NON_LINEARIZABLE));
    static const char lock[] = "{:process 0, :type :invoke, :f :acquire, :value nil}\n"
                               "{:process 0, :type :ok, :f :acquire, :value nil}\n";
    EXPECT(reads_edn(lock, LIN_EDN, NULL, LIN_NON_LINEARIZABLE)); /* it was not free at first */
}

static void edn__damage_is_named(void)
{
    EXPECT(reads_edn("{:process 0\n :type", LIN_EDN, "f.log:2: the text ends", LIN_UNKNOWN));
    EXPECT(reads_edn("{:process 0]", LIN_EDN, "f.log:1: a closing bracket", LIN_UNKNOWN));
    EXPECT(reads_edn("[", LIN_EDN, "f.log:1: the text ends", LIN_UNKNOWN));
    EXPECT(reads_edn("{:process 0 :type :what :f :read}", LIN_EDN, "unknown :type", LIN_UNKNOWN));
    EXPECT(reads_edn("{:process 0 :type :invoke :f :read}{:process 0 :type :invoke :f :read}",
                     LIN_EDN, "has an operation open", LIN_UNKNOWN));
    EXPECT(reads_edn("{:process 0 :type :invoke :f :write :value \"a\nb\"}", LIN_EDN,
                     "f.log:1: ", LIN_UNKNOWN));
    EXPECT(reads_edn("", LIN_EDN, NULL, LIN_LINEARIZABLE));
}

/* ---- refused memory ---- */

/* Reads, checks and writes with the n-th allocation refused, for every n. */
static enum status read_lines(struct lin_history *h, const char *text, struct err *err)
{
    lin_history_init(h, &mem);
    return lin_jsonl_read(h, "f", slice_text(text), err);
}

static void jsonl__events_are_marks(void)
{
    struct lin_history h;
    struct err err = {""};
    struct buf out;
    buf_init(&out, &mem);
    EXPECT(read_lines(&h,
                      "{\"linhist\":1,\"ops\":0}\n"
                      "{\"event\":\"fault\",\"at\":2,\"until\":null,\"text\":\"cut\"}\n"
                      "{\"node\":4,\"at\":3,\"event\":\"leader\"}\n"
                      "{\"event\":\"weather\",\"at\":\"noon\"}\n",
                      &err) == ST_OK);
    EXPECT(h.mark_count == 2 && h.count == 0);
    EXPECT(lin_jsonl_write(&h, &out) == ST_OK && buf_append(&out, "", 1) == ST_OK);
    EXPECT(strstr(out.data, "{\"event\":\"fault\",\"at\":2,\"until\":null,\"text\":\"cut\"}\n") !=
           NULL);
    EXPECT(strstr(out.data, "{\"event\":\"leader\",\"at\":3,\"node\":4}\n") != NULL);
    lin_history_release(&h);
    static const char *const bad[] = {
        "{\"linhist\":1}\n{\"event\":\"fault\"}\n",
        "{\"linhist\":1}\n{\"event\":\"fault\",\"at\":\"x\"}\n",
        "{\"linhist\":1}\n{\"event\":\"fault\",\"at\":4,\"until\":3}\n",
        "{\"linhist\":1}\n{\"event\":7,\"at\":4}\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(read_lines(&h, bad[i], &err) == ST_CORRUPT);
        EXPECT(strncmp(err.text, "f:2: ", 5) == 0);
        lin_history_release(&h);
    }
    buf_release(&out);
}

static void memory__every_refusal_is_reported_and_leaks_nothing(void)
{
    static const char text[] =
        "{\"linhist\":1,\"init\":{\"a\":\"\\u0031\"}}\n"
        "{\"client\":0,\"op\":\"append\",\"key\":\"a\",\"value\":\"1\",\"call\":0,\"return\":4,"
        "\"outcome\":\"ok\"}\n"
        "{\"client\":1,\"op\":\"batch\",\"ops\":[[\"get\",\"a\"],[\"put\",\"b\",\"2\"]],\"result\":"
        "[\"11\",null],\"call\":1,\"return\":4,\"outcome\":\"ok\"}\n"
        "{\"client\":2,\"op\":\"scan\",\"lo\":\"a\",\"hi\":\"c\",\"result\":[[\"a\",\"1\"],[\"b\","
        "\"2\"]],"
        "\"call\":2,\"return\":9,\"outcome\":\"ok\"}\n"
        "{\"event\":\"fault\",\"at\":2,\"text\":\"cut\"}\n"
        "{\"client\":3,\"op\":\"put\",\"key\":\"z\",\"value\":\"1\",\"call\":2,\"return\":9,"
        "\"outcome\":\"ok\",\"index\":4}\n";
    struct inject te;
    for (long n = 0; n < 100000; n++) {
        test_env_init(&te, NULL);
        te.fail_at = n;
        struct lin_history h;
        struct lin_verdict v = {0};
        struct buf out;
        struct err err = {""};
        buf_init(&out, &te.env.mem);
        lin_history_init(&h, &te.env.mem);
        enum status st = lin_jsonl_read(&h, "f", slice_text(text), &err);
        st = st == ST_OK ? lin_check(&h, NULL, &v) : st;
        st = st == ST_OK ? lin_jsonl_write(&h, &out) : st;
        bool reached = te.allocs > n;
        EXPECT(st == (reached ? ST_NOMEM : ST_OK));
        EXPECT(reached || v.result == LIN_NON_LINEARIZABLE);
        lin_verdict_release(&v);
        lin_history_release(&h);
        buf_release(&out);
        EXPECT(te.live == 0);
        if (!reached || tap_failed) {
            break;
        }
    }
}

TAP_MAIN(mem = libc_mem(); RUN(jsonl__damage_is_named_with_its_line);
         RUN(jsonl__two_open_operations_of_a_client_are_named); RUN(jsonl__lists_are_checked);
         RUN(jsonl__escapes_and_foreign_fields); RUN(jsonl__empty_strings_come_first);
         RUN(jsonl__every_cut_is_survived); RUN(jsonl__what_is_written_reads_the_same);
         RUN(porcupine__jepsen_log); RUN(edn__maps); RUN(edn__damage_is_named);
         RUN(jsonl__events_are_marks); RUN(memory__every_refusal_is_reported_and_leaks_nothing);)
