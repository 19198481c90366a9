/* Signed orders as bytes: the words that are hashed (docs/protocol/messages.md) and the journal's form. */
#include "kernel.h"

#define WORD_BYTES 32
#define LIMIT_OFFSET (INT64_C(1) << 39)
#define JSON_BYTES_MAX 384 /* of one order: 9 names, 8 integers of at most 20 digits, and 4 legs of at most 10 + 4 */

const char *const order_slots[] = {"nonce", "revision", "expiry_ms", "size_lots", "limit_ticks", "legs", "side", "fee_cap", "flags", NULL};

typedef struct {
    PyObject_HEAD
    Shape order;
} OrderCodec;

typedef struct {
    int64_t instrument, ratio;
} PlainLeg;

/* An order whose fields fit the widths of messages.md. */
typedef struct {
    uint64_t nonce;
    int64_t revision, expiry_ms, size_lots, limit_ticks, fee_cap, side, flags;
    Py_ssize_t leg_count;
    PlainLeg legs[LEGS_MAX];
} PlainOrder;

static bool fits(PyObject *object, int bits, int64_t *out) { return is_int(object, out) && *out >= 0 && *out >> bits == 0; }

/* Whether an order is a plain one, which is then in `out`. */
static bool read_order(const OrderCodec *self, PyObject *order, PlainOrder *out)
{
    const Shape *shape = &self->order;
    if (!Py_IS_TYPE(order, shape->type) || !is_word(slot_of(shape, order, NONCE), &out->nonce) || !fits(slot_of(shape, order, REVISION), 16, &out->revision) ||
        !fits(slot_of(shape, order, EXPIRY_MS), 48, &out->expiry_ms) || !fits(slot_of(shape, order, SIZE_LOTS), 40, &out->size_lots) ||
        !is_int(slot_of(shape, order, LIMIT_TICKS), &out->limit_ticks) || out->limit_ticks < -LIMIT_OFFSET || out->limit_ticks >= LIMIT_OFFSET ||
        !fits(slot_of(shape, order, FEE_CAP), 32, &out->fee_cap) || !fits(slot_of(shape, order, SIDE), 1, &out->side) ||
        !fits(slot_of(shape, order, FLAGS), 7, &out->flags))
        return false;
    PyObject *legs = slot_of(shape, order, LEGS), *instrument, *ratio;
    out->leg_count = legs && PyTuple_Check(legs) ? PyTuple_GET_SIZE(legs) : 0;
    if (out->leg_count < 1 || out->leg_count > LEGS_MAX)
        return false;
    for (Py_ssize_t i = 0; i < out->leg_count; i++) {
        PlainLeg *leg = &out->legs[i];
        if (!leg_of(PyTuple_GET_ITEM(legs, i), &instrument, &ratio) || !fits(instrument, 32, &leg->instrument) || !is_int(ratio, &leg->ratio) || !leg->ratio ||
            leg->ratio < -RATIO_MAX || leg->ratio > RATIO_MAX)
            return false;
    }
    return true;
}

/* Four limbs, lowest first, as 32 bytes, highest first. */
static void put_word(unsigned char *out, const uint64_t limbs[4])
{
    for (int i = 0; i < WORD_BYTES; i++)
        out[i] = (unsigned char)(limbs[3 - i / 8] >> (56 - 8 * (i % 8)));
}

static void put_words(unsigned char *out, const PlainOrder *order)
{
    const uint64_t limit = (uint64_t)(order->limit_ticks + LIMIT_OFFSET);
    const uint64_t terms[4] = {
        order->nonce,
        (uint64_t)order->revision | (uint64_t)order->expiry_ms << 16,
        (uint64_t)order->size_lots | limit << 40,
        limit >> 24 | (uint64_t)order->fee_cap << 16 | (uint64_t)order->side << 48 | (uint64_t)order->flags << 49,
    };
    uint64_t legs[4] = {0};
    for (Py_ssize_t i = 0; i < order->leg_count; i++) {
        const PlainLeg *leg = &order->legs[i];
        const uint64_t word = (uint64_t)leg->instrument | (uint64_t)Py_ABS(leg->ratio) << 32 | (uint64_t)(leg->ratio < 0) << 39;
        const int limb = (int)(40 * i / 64), shift = (int)(40 * i % 64);
        legs[limb] |= word << shift;
        if (shift > 24)
            legs[limb + 1] |= word >> (64 - shift);
    }
    put_word(out, terms);
    put_word(out + WORD_BYTES, legs);
}

static char *put_text(char *out, const char *text)
{
    while (*text)
        *out++ = *text++;
    return out;
}

static char *put_number(char *out, const char *name, uint64_t value)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    out = put_text(out, name);
    while (count)
        *out++ = digits[--count];
    return out;
}

static char *put_signed(char *out, const char *name, int64_t value)
{
    out = put_text(out, name);
    if (value < 0)
        *out++ = '-';
    return put_number(out, "", (uint64_t)Py_ABS(value));
}

static char *put_json(char *out, const PlainOrder *order)
{
    out = put_number(out, "{\"expiry_ms\":", (uint64_t)order->expiry_ms);
    out = put_number(out, ",\"fee_cap\":", (uint64_t)order->fee_cap);
    out = put_number(out, ",\"flags\":", (uint64_t)order->flags);
    out = put_text(out, ",\"legs\":");
    for (Py_ssize_t i = 0; i < order->leg_count; i++) {
        out = put_number(out, i ? ",[" : "[[", (uint64_t)order->legs[i].instrument);
        out = put_signed(out, ",", order->legs[i].ratio);
        out = put_text(out, "]");
    }
    out = put_signed(out, "],\"limit_ticks\":", order->limit_ticks);
    out = put_number(out, ",\"nonce\":", order->nonce);
    out = put_number(out, ",\"revision\":", (uint64_t)order->revision);
    out = put_number(out, ",\"side\":", (uint64_t)order->side);
    out = put_number(out, ",\"size_lots\":", (uint64_t)order->size_lots);
    return put_text(out, "}");
}

static PyObject *codec_words(PyObject *object, PyObject *orders)
{
    const OrderCodec *self = (OrderCodec *)object;
    PlainOrder order;
    if (!PyTuple_Check(orders))
        Py_RETURN_NONE;
    const Py_ssize_t count = PyTuple_GET_SIZE(orders);
    PyObject *words = PyBytes_FromStringAndSize(NULL, 2 * WORD_BYTES * count);
    for (Py_ssize_t i = 0; words && i < count; i++) {
        if (!read_order(self, PyTuple_GET_ITEM(orders, i), &order)) {
            Py_DECREF(words);
            Py_RETURN_NONE;
        }
        put_words((unsigned char *)PyBytes_AS_STRING(words) + 2 * WORD_BYTES * i, &order);
    }
    return words;
}

static PyObject *codec_json(PyObject *object, PyObject *orders)
{
    const OrderCodec *self = (OrderCodec *)object;
    PlainOrder order;
    if (!PyTuple_Check(orders))
        Py_RETURN_NONE;
    const Py_ssize_t count = PyTuple_GET_SIZE(orders);
    PyObject *text = PyBytes_FromStringAndSize(NULL, 2 + JSON_BYTES_MAX * count);
    if (!text)
        return NULL;
    char *begin = PyBytes_AS_STRING(text), *out = put_text(begin, "[");
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!read_order(self, PyTuple_GET_ITEM(orders, i), &order)) {
            Py_DECREF(text);
            Py_RETURN_NONE;
        }
        out = put_json(i ? put_text(out, ",") : out, &order);
    }
    out = put_text(out, "]");
    _PyBytes_Resize(&text, out - begin);
    return text;
}

static PyObject *codec_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"order", NULL};
    PyObject *order;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:OrderCodec", names, &order))
        return NULL;
    OrderCodec *self = (OrderCodec *)type->tp_alloc(type, 0);
    if (self && find_shape(order, order_slots, true, &self->order))
        Py_CLEAR(self);
    if (self)
        Py_INCREF(order);
    return (PyObject *)self;
}

static void codec_dealloc(PyObject *object)
{
    Py_XDECREF(((OrderCodec *)object)->order.type);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"words", codec_words, METH_O, "words(orders): terms and legs of each, 32 bytes each; None when they are no tuple or one has a field that does not fit."},
    {"json", codec_json, METH_O, "json(orders): an array of objects with sorted names; None as `words`."},
    {0},
};

PyTypeObject order_codec_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "straddle.core._kernel.OrderCodec",
    .tp_doc = "Signed orders as bytes.",
    .tp_basicsize = sizeof(OrderCodec),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = codec_new,
    .tp_dealloc = codec_dealloc,
    .tp_methods = methods,
};
