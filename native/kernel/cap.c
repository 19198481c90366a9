/* A cap on the lots of open orders that fill: the worst that so many lots come to. straddle.core.cap_reference is its definition. */
#include "kernel.h"
#include <string.h>

#define ORDERS_MAX (1 << 16)

typedef struct {
    PyObject_HEAD
    Shape order, resting;
} Cap;

enum { RESTING_ORDER, LEFT_LOTS, UNIT_FEE };

static const char *const resting_slots[] = {"order", "left_lots", "unit_fee", NULL};

/* ---- one order */

/* `legs` and `leg_count` are there already. */
void make_terms(Terms *terms, int64_t sign, int64_t limit, int64_t fee, int64_t units)
{
    int64_t mark = 0, charges = 0;
    terms->sign = sign;
    terms->units = units;
    terms->lots = 0;
    for (int i = 0; i < terms->leg_count; i++) {
        const Leg *leg = &terms->legs[i];
        mark += leg->ratio * leg->row->mark;
        charges += (int64_t)charge_im(leg->row, sign * leg->ratio);
        terms->lots += Py_ABS(leg->ratio);
    }
    terms->base = (int128)BPS * (charges + fee - sign * (mark - limit));
}

/* What a unit may lose on a path. */
static inline int128 unit_loss(const Exposure *self, const Terms *terms, int path)
{
    int64_t net = 0;
    for (int i = 0; i < terms->leg_count; i++)
        net += terms->legs[i].ratio * terms->legs[i].row->deltas[path];
    const int128 loss = terms->base - (int128)(self->k_im * terms->sign) * net;
    return loss & ~(loss >> 127);
}

static inline int128 beyond_price(int128 loss, const Terms *terms, int128 price)
{
    const int128 more = loss - price * terms->lots;
    return terms->units * (more & ~(more >> 127));
}

bool add_beyond(const Exposure *self, const Terms *terms, int128 *beyond)
{
    uint64_t outside = 0;
    for (int path = 0; path < PATHS; path++) {
        beyond[path] += beyond_price(unit_loss(self, terms, path), terms, self->prices->price[path]);
        outside |= is_beyond(beyond[path]);
    }
    return !outside;
}

int128 capped_bound(const Exposure *self, int128 cash, int64_t most, const int128 *beyond)
{
    int128 worst = self->paths[0] - self->prices->price[0] * most - beyond[0];
    for (int path = 1; path < PATHS; path++) {
        const int128 total = self->paths[path] - self->prices->price[path] * most - beyond[path];
        worst = total < worst ? total : worst;
    }
    return BPS * (cash + self->value - self->charges) + worst;
}

/* ---- all of them on one path */

/* Orders under the cap, one that fills in full besides, and room for a search. */
typedef struct {
    Py_ssize_t count;
    Terms *terms;
    const Terms *taking; /* NULL for none */
    struct Item {
        int128 price; /* of a lot, rounded up: at this one it loses nothing beyond */
        int128 lots;
    } *items;
    int128 *losses;
} Orders;

static inline void swap(struct Item *one, struct Item *other)
{
    const struct Item kept = *one;
    *one = *other;
    *other = kept;
}

static int128 middle_price(const struct Item *items, Py_ssize_t low, Py_ssize_t high)
{
    const int128 one = items[low].price, other = items[low + (high - low) / 2].price, last = items[high - 1].price;
    const int128 least = Py_MIN(one, other), greatest = Py_MAX(one, other);
    return Py_MAX(least, Py_MIN(greatest, last));
}

/* The least whole price at which orders that lose more than that have no more than `most` lots: a search as for a median. */
static int128 critical_price(struct Item *items, Py_ssize_t count, int128 most)
{
    Py_ssize_t low = 0, high = count;
    while (low < high) {
        const int128 pivot = middle_price(items, low, high);
        Py_ssize_t dearer = low, at = low, cheaper = high;
        int128 lots_dearer = 0, lots_same = 0;
        while (at < cheaper) {
            if (items[at].price > pivot) {
                lots_dearer += items[at].lots;
                swap(&items[dearer++], &items[at++]);
            } else if (items[at].price == pivot)
                lots_same += items[at++].lots;
            else
                swap(&items[at], &items[--cheaper]);
        }
        if (lots_dearer > most)
            high = dearer;
        else if (lots_dearer + lots_same > most)
            return pivot;
        else {
            most -= lots_dearer + lots_same;
            low = cheaper;
        }
    }
    return 0;
}

static int128 all_beyond(const Orders *orders, int128 price)
{
    int128 total = 0;
    for (Py_ssize_t i = 0; i < orders->count; i++)
        total += beyond_price(orders->losses[i], &orders->terms[i], price);
    return total;
}

/* What a path comes to at the price kept. */
static int128 bound(const Exposure *self, const Orders *orders, int64_t most, int path)
{
    const int128 price = self->prices->price[path];
    int128 besides = 0;
    if (orders->taking) {
        const int128 loss = unit_loss(self, orders->taking, path);
        besides = orders->taking->units * loss - beyond_price(loss, orders->taking, price);
    }
    return self->paths[path] - price * most - self->prices->beyond[path] - besides;
}

/* The same at the best price, which is then kept. */
static int128 renewed(Exposure *self, const Orders *orders, int64_t most, int path)
{
    for (Py_ssize_t i = 0; i < orders->count; i++) {
        const Terms *terms = &orders->terms[i];
        const int128 loss = orders->losses[i] = unit_loss(self, terms, path);
        orders->items[i] = (struct Item){terms->lots == 1 ? loss : (loss + terms->lots - 1) / terms->lots, (int128)terms->units * terms->lots};
    }
    int128 price = critical_price(orders->items, orders->count, most), beyond = all_beyond(orders, price);
    if (price) {
        const int128 cheaper = all_beyond(orders, price - 1);
        if (most + beyond - cheaper > 0) {
            price--;
            beyond = cheaper;
        }
    }
    if (orders->taking)
        beyond += beyond_price(unit_loss(self, orders->taking, path), orders->taking, price);
    self->prices->price[path] = price;
    self->prices->beyond[path] = beyond;
    return bound(self, orders, most, path);
}

static int128 surplus(Exposure *self, const Orders *orders, int128 cash, int64_t most, bool fresh)
{
    int128 worst[PATHS];
    bool stale[PATHS];
    for (int path = 0; path < PATHS; path++) {
        worst[path] = fresh ? renewed(self, orders, most, path) : bound(self, orders, most, path);
        stale[path] = !fresh;
    }
    for (;;) {
        int path = 0;
        for (int other = 1; other < PATHS; other++)
            if (worst[other] < worst[path])
                path = other;
        if (!stale[path])
            return BPS * (cash + self->value - self->charges) + worst[path];
        worst[path] = renewed(self, orders, most, path);
        stale[path] = false;
    }
}

/* ---- objects of Python */

static int read_resting(const Cap *self, const Table *table, PyObject *object, Terms *terms)
{
    const Shape *shape = &self->order;
    PyObject *order = Py_IS_TYPE(object, self->resting.type) ? slot_of(&self->resting, object, RESTING_ORDER) : NULL;
    PyObject *left = order ? slot_of(&self->resting, object, LEFT_LOTS) : NULL, *unit_fee = order ? slot_of(&self->resting, object, UNIT_FEE) : NULL;
    if (!left || !unit_fee || !Py_IS_TYPE(order, shape->type) || !slot_of(shape, order, LEGS) || !slot_of(shape, order, SIDE) ||
        !slot_of(shape, order, LIMIT_TICKS)) {
        PyErr_Format(PyExc_TypeError, "orders: %.100s, expected open orders", Py_TYPE(object)->tp_name);
        return -1;
    }
    int64_t side, limit, fee, units;
    terms->leg_count = read_legs(table, slot_of(shape, order, LEGS), terms->legs);
    if (terms->leg_count < 0 || read_int(slot_of(shape, order, SIDE), "side", 0, 1, &side) ||
        read_int(slot_of(shape, order, LIMIT_TICKS), "limit_ticks", -NET_TICKS_MAX, NET_TICKS_MAX, &limit) ||
        read_int(unit_fee, "fee", 0, NET_TICKS_MAX, &fee) || read_int(left, "units", 0, SIZE_LOTS_MAX, &units))
        return -1;
    make_terms(terms, side ? 1 : -1, limit, fee, units);
    return 0;
}

static PyObject *surplus_of(const Cap *self, Exposure *exposure, int128 cash, int64_t most, PyObject *given, PyObject *taken)
{
    PyObject *result = NULL;
    Terms taking;
    Orders orders = {.count = PyTuple_GET_SIZE(given), .taking = taken == Py_None ? NULL : &taking};
    if (orders.count > ORDERS_MAX)
        return PyErr_Format(PyExc_ValueError, "orders: %zd, expected at most %d", orders.count, ORDERS_MAX);
    const size_t room = (size_t)orders.count + 1;
    orders.terms = PyMem_Malloc(room * sizeof *orders.terms);
    orders.items = PyMem_Malloc(room * sizeof *orders.items);
    orders.losses = PyMem_Malloc(room * sizeof *orders.losses);
    int failed = !orders.terms || !orders.items || !orders.losses;
    if (failed)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; !failed && i < orders.count; i++)
        failed = read_resting(self, exposure->table, PyTuple_GET_ITEM(given, i), &orders.terms[i]);
    if (!failed && orders.taking)
        failed = read_resting(self, exposure->table, taken, &taking);
    const bool fresh = !exposure->prices;
    if (!failed && fresh && !(exposure->prices = PyMem_Calloc(1, sizeof(Prices)))) {
        PyErr_NoMemory();
        failed = 1;
    }
    if (!failed)
        result = object_from_wide(surplus(exposure, &orders, cash, most, fresh));
    PyMem_Free(orders.terms);
    PyMem_Free(orders.items);
    PyMem_Free(orders.losses);
    return result;
}

static PyObject *cap_surplus(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    int128 cash;
    int64_t most;
    if (check_count("surplus", count, 5))
        return NULL;
    if (!Py_IS_TYPE(arguments[0], &exposure_type))
        return PyErr_Format(PyExc_TypeError, "exposure: %.100s, expected Exposure", Py_TYPE(arguments[0])->tp_name);
    if (read_cash(arguments[1], &cash) || read_int(arguments[2], "most", 0, SIZE_LOTS_MAX, &most))
        return NULL;
    PyObject *given = PySequence_Tuple(arguments[3]);
    if (!given)
        return NULL;
    PyObject *result = surplus_of((Cap *)object, (Exposure *)arguments[0], cash, most, given, arguments[4]);
    Py_DECREF(given);
    return result;
}

static PyObject *cap_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"order", "resting", NULL};
    PyObject *order, *resting;
    Cap made = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO:Cap", names, &order, &resting) || find_shape(order, order_slots, true, &made.order) ||
        find_shape(resting, resting_slots, false, &made.resting))
        return NULL;
    Cap *self = (Cap *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    made.ob_base = self->ob_base;
    *self = made;
    Py_INCREF(order);
    Py_INCREF(resting);
    return (PyObject *)self;
}

static void cap_dealloc(PyObject *object)
{
    Py_DECREF(((Cap *)object)->order.type);
    Py_DECREF(((Cap *)object)->resting.type);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"surplus", (PyCFunction)(void (*)(void))cap_surplus, METH_FASTCALL, "surplus(exposure, cash, most, orders, taking): see cap_reference.Cap."},
    {0},
};

PyTypeObject cap_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "straddle.core._kernel.Cap",
    .tp_doc = "A cap on the lots of open orders that fill.",
    .tp_basicsize = sizeof(Cap),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = cap_new,
    .tp_dealloc = cap_dealloc,
    .tp_methods = methods,
};
