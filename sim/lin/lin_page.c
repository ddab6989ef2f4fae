/* lin_page.c - see lin_page.h. */
#include "sim/lin/lin_page.h"

#include "base/json.h"
#include "sim/lin/lin_rec.h"

#define WINDOW_MAX   2000 /* operations that are drawn */
#define DATA_MAX     (LIN_PAGE_MAX - 40000)
#define MARKS_MAX    1000 /* that are drawn */
#define OVERVIEW     240  /* bars of the overview */
#define PIECES(name) name, sizeof name / sizeof *name

static const char *const head[] = {
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>history</title>\n<style>\n"
    "body{font:14px/1.45 system-ui,sans-serif;margin:1.2em;color:#222;background:#fff}\n"
    "h1{font-size:1.25em;margin:0 0 .3em}#says{font-size:1.1em;max-width:70em;margin:.2em 0 .8em}\n"
    ".no{color:#a11}.yes{color:#161}.unknown{color:#850}\n"
    "table{border-collapse:collapse;margin:.4em 0 1em}td,th{padding:.1em .7em;text-align:left;"
    "border-bottom:1px solid #ddd}\n"
    "#bar label{margin-right:1.2em}select,input{font:inherit}\n"
    "#box{overflow:auto;border:1px solid #bbb;max-height:70vh;margin-top:.5em}\n"
    "svg text{font:11px system-ui,sans-serif}rect.op{fill:#cfe0f3;stroke:#6b93bd}\n"
    "rect.w{fill:#f6c6c2;stroke:#b3261e;stroke-width:2}rect.info{fill:#f3e6b5;stroke:#a8892b;"
    "stroke-dasharray:4 2}\n",
    "rect.fail{fill:#e4e4e4;stroke:#999}rect.fault{fill:#e8b0ac;stroke:#b3261e}"
    "rect.leader{fill:#bfe3c4;stroke:#4c8a56}rect.term{fill:#ddd3ee;stroke:#7d68a8}.lane{stroke:#"
    "eee}.dim{opacity:.12}\n"
    "@media(prefers-color-scheme:dark){body{background:#181a1d;color:#ddd}#box{border-color:#555}"
    "td,th{border-color:#444}svg text{fill:#eee}rect.op{fill:#2c4664}rect.w{fill:#7c2a25}"
    "rect.info{fill:#5d5220}rect.fail{fill:#444}.lane{stroke:#333}}\n"
    "</style></head><body>\n<h1 id=\"title\"></h1><div id=\"says\"></div>\n"
    "<table id=\"wit\"></table>\n<svg id=\"over\" width=\"960\" height=\"46\" role=\"img\" "
    "aria-label=\"operations over time\"></svg>\n"
    "<div id=\"bar\"><label>key <select id=\"key\"></select></label><label>client "
    "<select id=\"client\"></select></label><label><input type=\"checkbox\" id=\"order\"> by "
    "order, "
    "not by time</label><label>zoom <input type=\"range\" id=\"zoom\" min=\"1\" max=\"60\" "
    "value=\"8\"></label><span id=\"count\"></span></div>\n<div id=\"box\"></div>\n"
    "<script type=\"application/json\" id=\"data\">",
};

static const char *const tail[] = {
    "</script>\n<script>\n\"use strict\";\n"
    "const D=JSON.parse(document.getElementById('data').textContent),$=i=>document."
    "getElementById(i);\nconst NS='http://www.w3.org/2000/svg';\n"
    "function el(p,n,a,t){const e=document.createElementNS(NS,n);for(const k in a)e.setAttribute(k,"
    "a[k]);if(t!==undefined)e.textContent=t;p.appendChild(e);return e}\n"
    "$('title').textContent=D.title+': '+D.verdict;\n$('title').className=D.verdict==="
    "'linearizable'?'yes':D.verdict==='unknown'?'unknown':'no';\n"
    "$('says').textContent=D.text;\n"
    "function row(t,cells,tag){const r=document.createElement('tr');for(const c of cells){const d="
    "document.createElement(tag);d.textContent=c;r.appendChild(d)}t.appendChild(r)}\n"
    "if(D.witness.length){row($('wit'),['operation','client','what','call','return','node','index']"
    ",'th');for(const o of D.witness)row($('wit'),[o.p,o.c,o.w,o.s,o.e===null?'no answer':o.e,"
    "o.n===undefined?'':o.n,o.i===undefined?'':o.i],'td')}\n",
    "const most=Math.max(1,...D.overview);D.overview.forEach((n,i)=>{const x=i*960/D.overview."
    "length,h=40*n/most;el($('over'),'rect',{x:x,y:44-h,width:960/D.overview.length-.5,height:h,"
    "fill:i>=D.from&&i<=D.to?'#b3261e':'#8aa9c8'})});\n"
    "function fill(id,vals){const s=$(id);for(const v of ['all',...vals]){const o=document."
    "createElement('option');o.textContent=v;s.appendChild(o)}s.onchange=draw}\n"
    "const keys=new Set(),clients=new Set();for(const o of D.ops){for(const k of o.k)keys.add(k);"
    "clients.add(o.c)}\nfill('key',[...keys].sort());fill('client',[...clients].sort((a,b)=>a-b)."
    "map"
    "(String));\n"
    "function draw(){const "
    "key=$('key').value,cl=$('client').value,by=$('order').checked,z=+$('zoom'"
    ").value;\nconst ops=D.ops.filter(o=>(key==='all'||o.k.includes(key)||o.k.length===0)&&(cl==="
    "'all'||String(o.c)===cl));\nconst ts=[...new Set(ops.flatMap(o=>o.e===null?[o.s]:[o.s,o.e]))]."
    "sort((a,b)=>a-b);\n",
    "const rank=new Map(ts.map((t,i)=>[t,i])),t0=ts[0]||0,t1=ts[ts.length-1]||1;\n"
    "const wide=z*60+ops.length*z*2,at=t=>{let a=0,b=ts.length-1;while(a<b){const "
    "m=a+b>>1;if(ts[m]<"
    "t)a=m+1;else b=m}return a},px=t=>150+(by?(rank.has(t)?rank.get(t):at(t))/Math.max(1,ts.length"
    "-1):Math.min(1,Math.max(0,(t-t0)/Math.max(1,t1-t0))))*wide;\n"
    "const tops=[...new Set(D.marks.map(m=>m.k))],up=tops.length*30;\n"
    "const lanes=[...new Set(ops.map(o=>o.c))].sort((a,b)=>a-b),y=new "
    "Map(lanes.map((c,i)=>[c,24+up+i"
    "*30]));\nconst s=document.createElementNS(NS,'svg');s.setAttribute('width',wide+260);s."
    "setAttribute('height',40+up+lanes.length*30);\nfor(const c of "
    "lanes){el(s,'line',{x1:0,x2:wide+260"
    ",y1:y.get(c)+22,y2:y.get(c)+22,class:'lane'});el(s,'text',{x:6,y:y.get(c)+14},'client '+c)}\n"
    "tops.forEach((k,i)=>{el(s,'text',{x:6,y:24+i*30+14},k);const ms=D.marks.filter(m=>m.k===k);ms."
    "forEach((m,n)=>{const x=px(m.a),next=n+1<ms.length?px(ms[n+1].a):wide+240,e=m.u===null||(m.u"
    "===undefined&&k!=='fault')?next:m.u===undefined?x+3:px(m.u),d=(m.n===undefined?'':'node '+m.n+"
    "' ')+(m.t||'');const g=el(s,'g',{});el(g,'rect',{x:x,y:24+i*30,width:Math.max(3,e-x),height:20"
    ",class:k});el(g,'title',{},k+' '+d+' at '+m.a+(m.u===undefined?'':' until '+(m.u===null?'the "
    "end':m.u)));if(d)el(g,'text',{x:x+3,y:24+i*30+14},d.trim())})});\n",
    "let first=null;for(const o of ops){const x=px(o.s),e=o.e===null?wide+240:px(o.e),w=Math.max(3,"
    "e-x);const g=el(s,'g',{});el(g,'rect',{x:x,y:y.get(o.c),width:w,height:20,rx:3,class:'op '+("
    "o.x?'w':o.o)});",
    "el(g,'title',{},'#'+o.p+' '+o.w+' ['+o.s+', '+(o.e===null?'no answer':o.e)+'] "
    "'+o.o+(o.n===undefined?'':' node '+o.n)+(o.i===undefined?"
    "'':' index '+o.i));"
    "if(w>34||o.x)el(g,'text',{x:x+3,y:y.get(o.c)+14},o.w.slice(0,Math.max(o.x?24:0,w/6.5|0)));"
    "if(o.x&&first===null)first=x}\n"
    "const b=$('box');b.replaceChildren(s);if(first!==null)b.scrollLeft=Math.max(0,first-200);\n"
    "$('count').textContent=ops.length+' of '+D.total+' operations';document.body.dataset.drawn="
    "ops.length}\n$('order').onchange=draw;$('zoom').oninput=draw;draw();\n</script></body></"
    "html>\n",
};

static enum status put_pieces(struct buf *out, const char *const *pieces, size_t count)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        st = buf_append_text(out, pieces[i]);
    }
    return st;
}

static bool in_witness(const struct lin_verdict *v, uint32_t place)
{
    for (size_t i = 0; i < v->witness_count; i++) {
        if (v->witness[i] == place) {
            return true;
        }
    }
    return false;
}

static void put_keys(struct json *j, const struct lin_history *h, const struct lin_rec *op)
{
    bool list = op->kind == LIN_SCAN || op->kind == LIN_BATCH;
    json_array(j, "k");
    for (uint32_t i = 0; i < (list ? op->result : 1) && i < 16; i++) {
        uint32_t key = list ? h->subs[op->expect + i].key : op->key;
        struct slice s = lin_strtab_get(&h->keys, key);
        json_bytes(j, NULL, slice_of(s.data, s.size < 64 ? s.size : 64));
    }
    json_array_end(j);
}

static void put_op(struct json *j, const struct lin_history *h, const struct lin_verdict *v,
                   uint32_t place)
{
    static const char *const outcomes[] = {"ok", "fail", "info"};
    const struct lin_rec *op = &h->ops[place];
    struct buf what;
    buf_init(&what, h->mem);
    j->st = j->st == ST_OK ? lin_say_what(h, place, &what) : j->st;
    json_object(j, NULL);
    json_u64(j, "p", place);
    json_i64(j, "c", lin_say_client(h, place));
    json_bytes(j, "w", slice_of(what.data, what.size < 400 ? what.size : 400));
    json_i64(j, "s", op->call);
    if (op->ret == LIN_NEVER) {
        json_null(j, "e");
    } else {
        json_i64(j, "e", op->ret);
    }
    json_text(j, "o", outcomes[op->outcome]);
    put_keys(j, h, op);
    if (in_witness(v, place)) {
        json_u64(j, "x", 1);
    }
    if (h->meta != NULL && h->meta[place].node >= 0) {
        json_i64(j, "n", h->meta[place].node);
    }
    if (h->meta != NULL && h->meta[place].index > 0) {
        json_u64(j, "i", h->meta[place].index);
    }
    json_object_end(j);
    buf_release(&what);
}

enum status lin_page_window(const struct lin_history *h, const struct lin_verdict *v, size_t most,
                            uint32_t **order, size_t *first, size_t *count)
{
    enum status st = lin_sort_calls(h, order);
    size_t low = h->count;
    size_t high = 0;
    for (size_t i = 0; i < h->count && v->witness_count > 0; i++) {
        if (in_witness(v, *order != NULL ? (*order)[i] : (uint32_t)i)) {
            low = i < low ? i : low;
            high = i;
        }
    }
    low = low > high ? 0 : low;
    size_t span = high - low + 1 < most ? high - low + 1 : most;
    size_t spare = (most - span) / 2;
    /* Where the witness itself spans more than fits, its end is what shows the trouble. */
    low = high - low + 1 > most ? high + 1 - most : low;
    *first = low > spare ? low - spare : 0;
    *count = h->count - *first < most ? h->count - *first : most;
    return st;
}

/* How many operations begin in each of OVERVIEW equal pieces of time; returns the least call. */
static void put_overview(struct json *j, const struct lin_history *h, int64_t from, int64_t to)
{
    uint64_t bars[OVERVIEW] = {0};
    int64_t low = INT64_MAX;
    int64_t high = INT64_MIN;
    for (size_t i = 0; i < h->count; i++) {
        low = h->ops[i].call < low ? h->ops[i].call : low;
        high = h->ops[i].call > high ? h->ops[i].call : high;
    }
    uint64_t span = h->count > 0 ? (uint64_t)high - (uint64_t)low : 0;
    uint64_t each = span / OVERVIEW + 1;
    for (size_t i = 0; i < h->count; i++) {
        bars[((uint64_t)h->ops[i].call - (uint64_t)low) / each]++;
    }
    json_array(j, "overview");
    for (int i = 0; i < OVERVIEW; i++) {
        json_u64(j, NULL, bars[i]);
    }
    json_array_end(j);
    json_u64(j, "from", h->count > 0 ? ((uint64_t)from - (uint64_t)low) / each : 0);
    json_u64(j, "to", h->count > 0 ? ((uint64_t)to - (uint64_t)low) / each : 0);
}

/* A leader or term lasts until the next of its kind. */
static int64_t mark_end(const struct lin_history *h, size_t i)
{
    for (size_t n = i + 1; n < h->mark_count; n++) {
        if (h->marks[n].kind == h->marks[i].kind) {
            return h->marks[n].at;
        }
    }
    return LIN_NEVER;
}

/* Those of the window; of leaders and terms also the last before it, which goes on into it. */
static void put_marks(struct json *j, const struct lin_history *h, const uint32_t *order,
                      size_t first, size_t count)
{
    int64_t from = INT64_MAX;
    int64_t to = INT64_MIN;
    size_t left = MARKS_MAX;
    for (size_t i = first; i < first + count && i < h->count; i++) {
        const struct lin_rec *op = &h->ops[order != NULL ? order[i] : (uint32_t)i];
        int64_t end = op->ret == LIN_NEVER ? op->call : op->ret;
        from = op->call < from ? op->call : from;
        to = end > to ? end : to;
    }
    json_array(j, "marks");
    for (size_t i = 0; i < h->mark_count && left > 0; i++) {
        const struct lin_mark_rec *m = &h->marks[i];
        bool lasts = m->kind != LIN_MARK_FAULT && m->until == m->at;
        int64_t until = lasts ? mark_end(h, i) : m->until;
        if (m->at > to || until < from) {
            continue;
        }
        left--;
        json_object(j, NULL);
        json_text(j, "k", lin_mark_name((enum lin_mark_kind)m->kind));
        json_i64(j, "a", m->at);
        if (m->until == LIN_NEVER) {
            json_null(j, "u");
        } else if (m->until != m->at) {
            json_i64(j, "u", m->until);
        }
        if (m->node >= 0) {
            json_i64(j, "n", m->node);
        }
        if (m->text != LIN_ABSENT) {
            struct slice s = lin_strtab_get(&h->values, m->text - 1);
            json_bytes(j, "t", slice_of(s.data, s.size < 64 ? s.size : 64));
        }
        json_object_end(j);
    }
    json_array_end(j);
}

static void put_data(struct json *j, const struct lin_history *h, const struct lin_verdict *v,
                     const char *title, const uint32_t *order, size_t first, size_t count)
{
    json_object(j, NULL);
    json_text(j, "title", title);
    json_text(j, "verdict", lin_result_text(v->result));
    json_text(j, "text", v->text);
    json_u64(j, "total", h->count);
    json_array(j, "witness");
    for (size_t i = 0; i < v->witness_count && i < 200; i++) {
        put_op(j, h, v, v->witness[i]);
    }
    json_array_end(j);
    int64_t from = 0;
    int64_t to = 0;
    json_array(j, "ops");
    for (size_t i = 0; i < count && j->out->size < DATA_MAX; i++) {
        uint32_t place = order != NULL ? order[first + i] : (uint32_t)(first + i);
        from = i == 0 ? h->ops[place].call : from;
        to = h->ops[place].call;
        put_op(j, h, v, place);
    }
    json_array_end(j);
    put_marks(j, h, order, first, count);
    put_overview(j, h, from, to);
    json_object_end(j);
}

/* JSON inside a script element: "<" only ever occurs in strings, where it can be escaped. */
static enum status put_escaped(struct buf *out, struct slice data)
{
    enum status st = ST_OK;
    size_t done = 0;
    for (size_t i = 0; i < data.size && st == ST_OK; i++) {
        if (data.data[i] == '<') {
            st = buf_append(out, data.data + done, i - done);
            st = st == ST_OK ? buf_append_text(out, "\\u003c") : st;
            done = i + 1;
        }
    }
    return st == ST_OK ? buf_append(out, data.data + done, data.size - done) : st;
}

enum status lin_page_write(const struct lin_history *h, const struct lin_verdict *v,
                           const char *title, struct buf *out)
{
    uint32_t *order = NULL;
    size_t first = 0;
    size_t count = 0;
    struct buf data;
    struct json j;
    buf_init(&data, h->mem);
    enum status st = lin_page_window(h, v, WINDOW_MAX, &order, &first, &count);
    size_t start = out->size;
    /* Values full of "<" grow by escaping: halve what is drawn until the page fits. */
    do {
        out->size = start;
        buf_clear(&data);
        json_init(&j, &data);
        if (st == ST_OK) {
            put_data(&j, h, v, title, order, first, count);
            st = j.st;
        }
        st = st == ST_OK ? put_pieces(out, PIECES(head)) : st;
        st = st == ST_OK ? put_escaped(out, buf_slice(&data)) : st;
        st = st == ST_OK ? put_pieces(out, PIECES(tail)) : st;
        first += count / 4;
        count /= 2;
    } while (st == ST_OK && out->size - start > LIN_PAGE_MAX && count > 0);
    mem_release(h->mem, order);
    buf_release(&data);
    return st;
}
