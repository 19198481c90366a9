/* Quotes: orders of a set that only come to rest. What they do is defined by straddle.core.matching, which this agrees with on every order that it takes; an
 * order that is refused, trades, cancels without resting, or is anything out of the ordinary is left to it, untouched. */
#include "kernel.h"

#define POST_ONLY 4

typedef struct {
    PyObject_HEAD
    Shape order, resting, unit, book, side, placed, cancelled;
    PyObject *amended, *replaced; /* reasons */
    PyObject *take_back;
} Quotes;

enum { ACCOUNT, ORDER, ORDER_SET, SET_INDEX, SET_ROOT, LEFT_LOTS, TURN, UNIT_FEE, RESTING_SLOTS };
enum { STEP, TICK, LOWEST, LOW, HIGH, FEE, BUYER_CAP_BPS, MOST_LOTS };
enum { BIDS, ASKS };
enum { LEVELS, PRICES };

static const char *const resting_slots[] = {"account", "order", "order_set", "set_index", "set_root", "left_lots", "turn", "unit_fee", NULL};
static const char *const unit_slots[] = {"step", "tick", "lowest", "low", "high", "fee", "buyer_cap_bps", "most_lots", NULL};
static const char *const book_slots[] = {"bids", "asks", NULL};
static const char *const side_slots[] = {"_levels", "_prices", NULL};
static const char *const placed_slots[] = {"account", "order", "left_lots", NULL};
static const char *const cancelled_slots[] = {"account", "order", "left_lots", "reason", NULL};

/* The arguments of `enter`, as they are described in kernel_reference.py. */
typedef struct {
    PyObject *orders, *account, *order_set, *root, *filled, *open_orders, *books, *units, *events, *steps, *exchange;
    Exposure *exposure;
    PyObject *mine; /* the account's open orders, borrowed; NULL when it has none */
    int128 cash;
    uint64_t least_nonce, slot_count;
    int64_t turn, time_ms, positions_max, orders_max, most;
} Entrance;

/* An order on its way in. Objects are borrowed, but for `slot`. */
typedef struct {
    PyObject *order, *nonce_object, *limit_object, *legs, *side_object;
    uint64_t nonce;
    int64_t revision, size, limit, side, flags, fee, most_lots, step, left;
    const Row *row;
    PyObject *own_side, *other_side; /* of its book */
    PyObject *slot;                  /* the number of its slot */
    PyObject *live, *old;            /* the open order that it takes the place of, NULL for none, and what was signed then */
    uint64_t old_nonce;
    bool keeps_turn;
    Open taken;
} Quote;

/* Functions that look return 1 when the order is still a quote, 0 when it is not, -1 with an exception set. */

static int item(PyObject *dict, PyObject *key, PyObject **out)
{
    *out = PyDict_GetItemWithError(dict, key);
    return *out ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* ---- what the order says */

/* The terms against the unit, as entry._check_terms has them. */
static bool keeps_terms(const Quotes *self, const Entrance *entrance, Quote *quote, PyObject *unit)
{
    int64_t tick, lowest, low, high, expiry_ms, fee_cap, cap_bps;
    const Shape *shape = &self->unit, *order = &self->order;
    PyObject *cap = slot_of(shape, unit, BUYER_CAP_BPS), *most = slot_of(shape, unit, MOST_LOTS);
    if (!is_int(slot_of(shape, unit, STEP), &quote->step) || !is_int(slot_of(shape, unit, TICK), &tick) || !is_int(slot_of(shape, unit, LOWEST), &lowest) ||
        !is_int(slot_of(shape, unit, LOW), &low) || !is_int(slot_of(shape, unit, HIGH), &high) || !is_int(slot_of(shape, unit, FEE), &quote->fee) ||
        !most || !PyTuple_Check(most) || PyTuple_GET_SIZE(most) != 1 || !is_int(PyTuple_GET_ITEM(most, 0), &quote->most_lots) || quote->step < 1 ||
        tick < 1 || !cap)
        return false;
    if (!is_int(slot_of(order, quote->order, EXPIRY_MS), &expiry_ms) || !is_int(slot_of(order, quote->order, FEE_CAP), &fee_cap) ||
        expiry_ms <= entrance->time_ms || quote->size < 0 || quote->size > SIZE_LOTS_MAX || quote->size % quote->step || quote->limit < lowest ||
        quote->limit < 0 || quote->limit > TICKS_MAX || quote->limit % tick || quote->limit < low || quote->limit > high)
        return false;
    if (cap != Py_None && quote->side) { /* Unit.worst_fee */
        if (!is_int(cap, &cap_bps) || cap_bps < 0 || cap_bps > BPS)
            return false;
        quote->fee = Py_MIN(quote->fee, (cap_bps * quote->limit + BPS - 1) / BPS);
    }
    return quote->fee >= 0 && quote->fee <= NET_TICKS_MAX && fee_cap >= quote->fee;
}

/* An outright with plain terms that its unit admits. */
static int read_quote(const Quotes *self, const Entrance *entrance, PyObject *object, Quote *quote)
{
    const Shape *shape = &self->order;
    PyObject *unit, *instrument, *ratio_object, *book;
    int64_t ratio;
    if (!Py_IS_TYPE(object, shape->type))
        return 0;
    quote->order = object;
    quote->nonce_object = slot_of(shape, object, NONCE);
    quote->limit_object = slot_of(shape, object, LIMIT_TICKS);
    quote->side_object = slot_of(shape, object, SIDE);
    quote->legs = slot_of(shape, object, LEGS);
    if (!is_word(quote->nonce_object, &quote->nonce) || !is_int(slot_of(shape, object, REVISION), &quote->revision) ||
        !is_int(slot_of(shape, object, SIZE_LOTS), &quote->size) || !is_int(quote->limit_object, &quote->limit) || !is_int(quote->side_object, &quote->side) ||
        quote->side >> 1 || !is_int(slot_of(shape, object, FLAGS), &quote->flags) || (quote->flags && quote->flags != POST_ONLY))
        return 0;
    if (!quote->legs || !PyTuple_Check(quote->legs) || PyTuple_GET_SIZE(quote->legs) != 1 ||
        !leg_of(PyTuple_GET_ITEM(quote->legs, 0), &instrument, &ratio_object) || !is_int(ratio_object, &ratio) || ratio != 1)
        return 0;
    int found = item(entrance->units, quote->legs, &unit);
    if (found <= 0 || !Py_IS_TYPE(unit, self->unit.type) || !keeps_terms(self, entrance, quote, unit))
        return Py_MIN(found, 0);
    found = item(entrance->books, instrument, &book);
    if (found <= 0 || !Py_IS_TYPE(book, self->book.type))
        return Py_MIN(found, 0);
    quote->own_side = slot_of(&self->book, book, quote->side ? BIDS : ASKS);
    quote->other_side = slot_of(&self->book, book, quote->side ? ASKS : BIDS);
    quote->row = find_row(entrance->exposure->table, instrument);
    return quote->row ? 1 : -1;
}

/* ---- its slot */

/* The open order in the slot: one on the same instrument and side, as most are. */
static int read_live(const Quotes *self, Quote *quote, int64_t *revision)
{
    const Shape *shape = &self->resting, *order = &self->order;
    if (!Py_IS_TYPE(quote->live, shape->type))
        return 0;
    quote->old = slot_of(shape, quote->live, ORDER);
    if (!quote->old || !Py_IS_TYPE(quote->old, order->type) || slot_of(order, quote->old, SIDE) != quote->side_object ||
        !is_word(slot_of(order, quote->old, NONCE), &quote->old_nonce) || !is_int(slot_of(order, quote->old, REVISION), revision) ||
        !is_int(slot_of(order, quote->old, LIMIT_TICKS), &quote->taken.limit) || !is_int(slot_of(shape, quote->live, LEFT_LOTS), &quote->taken.units) ||
        !is_int(slot_of(shape, quote->live, UNIT_FEE), &quote->taken.fee) || !slot_of(shape, quote->live, ACCOUNT) || !slot_of(shape, quote->live, TURN))
        return 0;
    PyObject *legs = slot_of(order, quote->old, LEGS);
    return legs ? PyObject_RichCompareBool(legs, quote->legs, Py_EQ) : 0;
}

/* The slot rule of docs/protocol/state.md as entry._check_nonce has it: fills in what may still fill. */
static int find_live(const Quotes *self, const Entrance *entrance, Quote *quote)
{
    uint64_t newest = 0;
    int64_t revision = 0, filled = 0, old_size, live_revision = 0;
    PyObject *seen;
    quote->live = quote->old = NULL;
    quote->taken = (Open){0};
    quote->keeps_turn = false;
    if (quote->nonce < entrance->least_nonce)
        return 0;
    int found = item(entrance->filled, quote->slot, &seen);
    if (found < 0 || (found && (!PyTuple_Check(seen) || PyTuple_GET_SIZE(seen) != 3 || !is_word(PyTuple_GET_ITEM(seen, 0), &newest) ||
                                !is_int(PyTuple_GET_ITEM(seen, 1), &revision) || !is_int(PyTuple_GET_ITEM(seen, 2), &filled))))
        return Py_MIN(found, 0);
    if (newest != quote->nonce)
        filled = 0;
    found = entrance->mine ? item(entrance->mine, quote->slot, &quote->live) : 0;
    if (found < 0 || (found && (found = read_live(self, quote, &live_revision)) <= 0))
        return found;
    if (quote->live && (quote->old_nonce > newest || (quote->old_nonce == newest && live_revision > revision))) {
        newest = quote->old_nonce;
        revision = live_revision;
    }
    if (quote->nonce < newest || (quote->nonce == newest && quote->revision <= revision) || quote->size <= filled ||
        filled % quote->step)
        return 0;
    quote->left = quote->size - filled;
    if (quote->live) /* matching._keeps_turn */
        quote->keeps_turn = quote->old_nonce == quote->nonce && quote->taken.limit == quote->limit &&
                            is_int(slot_of(&self->order, quote->old, SIZE_LOTS), &old_size) && quote->size <= old_size;
    return 1;
}

/* ---- the book */

/* The levels and prices of a side of a book; false for something else. */
static bool read_side(const Quotes *self, PyObject *side, PyObject **levels, PyObject **prices)
{
    if (!side || !Py_IS_TYPE(side, self->side.type))
        return false;
    *levels = slot_of(&self->side, side, LEVELS);
    *prices = slot_of(&self->side, side, PRICES);
    return *levels && *prices && PyDict_Check(*levels) && PyList_Check(*prices);
}

/* Whether no order of the other side is within the limit. */
static bool meets_nobody(const Quotes *self, const Quote *quote)
{
    PyObject *levels, *prices;
    int64_t best;
    if (!read_side(self, quote->other_side, &levels, &prices))
        return false;
    Py_ssize_t count = PyList_GET_SIZE(prices);
    return !count || (is_int(PyList_GET_ITEM(prices, quote->side ? 0 : count - 1), &best) && (quote->side ? best > quote->limit : best < quote->limit));
}

/* The place of a price among ascending ones, or where it would be. */
static Py_ssize_t place_of_price(PyObject *prices, int64_t price)
{
    Py_ssize_t low = 0, high = PyList_GET_SIZE(prices);
    int64_t there = 0;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (is_int(PyList_GET_ITEM(prices, middle), &there) && there < price)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* BookSide.remove, by the old order's own limit. */
static int leave_side(const Quotes *self, PyObject *side, PyObject *account, PyObject *order, int64_t price)
{
    PyObject *levels, *prices, *level, *limit = slot_of(&self->order, order, LIMIT_TICKS);
    if (!read_side(self, side, &levels, &prices))
        return -1;
    if (item(levels, limit, &level) <= 0 || !PyDict_Check(level)) {
        if (!PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, limit);
        return -1;
    }
    PyObject *key = PyTuple_Pack(2, account, slot_of(&self->order, order, NONCE));
    int failed = key ? PyDict_DelItem(level, key) : -1;
    Py_XDECREF(key);
    if (failed || PyDict_GET_SIZE(level))
        return failed;
    Py_ssize_t place = place_of_price(prices, price);
    return PyDict_DelItem(levels, limit) || PyList_SetSlice(prices, place, place + 1, NULL) ? -1 : 0;
}

/* BookSide.add. */
static int join_side(const Quotes *self, PyObject *account, const Quote *quote, PyObject *resting)
{
    PyObject *levels, *prices, *level;
    if (!read_side(self, quote->own_side, &levels, &prices))
        return -1;
    int found = item(levels, quote->limit_object, &level);
    if (found < 0)
        return -1;
    PyObject *key = PyTuple_Pack(2, account, quote->nonce_object), *made = found ? NULL : PyDict_New();
    int failed = !key || (!found && !made) || PyDict_SetItem(found ? level : made, key, resting) ? -1 : 0;
    if (!failed && made)
        failed = PyDict_SetItem(levels, quote->limit_object, made) || PyList_Insert(prices, place_of_price(prices, quote->limit), quote->limit_object) ? -1 : 0;
    Py_XDECREF(key);
    Py_XDECREF(made);
    return failed;
}

/* ---- entering */

static int append_new(PyObject *list, PyObject *made)
{
    int failed = made ? PyList_Append(list, made) : -1;
    Py_XDECREF(made);
    return failed;
}

/* The events, and the step that takes the order back. */
static int report(const Quotes *self, const Entrance *entrance, const Quote *quote, PyObject *resting, PyObject *left)
{
    PyObject *live = quote->live ? quote->live : Py_None;
    if (quote->live) {
        PyObject *reason = quote->old_nonce == quote->nonce ? self->amended : self->replaced;
        PyObject *cancelled[] = {slot_of(&self->resting, live, ACCOUNT), quote->old, slot_of(&self->resting, live, LEFT_LOTS), reason};
        if (append_new(entrance->events, make_object(&self->cancelled, cancelled, 4)))
            return -1;
    }
    PyObject *placed[] = {entrance->account, quote->order, left};
    PyObject *arguments = PyTuple_Pack(4, entrance->exchange, (PyObject *)entrance->exposure, resting, live);
    PyObject *step = arguments ? PyTuple_Pack(2, self->take_back, arguments) : NULL;
    Py_XDECREF(arguments);
    return append_new(entrance->steps, step) || append_new(entrance->events, make_object(&self->placed, placed, 3)) ? -1 : 0;
}

static PyObject *make_resting(const Quotes *self, const Entrance *entrance, const Quote *quote, int64_t index, PyObject *left)
{
    PyObject *made = NULL, *place = PyLong_FromLongLong(index), *fee = PyLong_FromLongLong(quote->fee);
    PyObject *turn = quote->keeps_turn ? Py_NewRef(slot_of(&self->resting, quote->live, TURN)) : PyLong_FromLongLong(entrance->turn | index);
    if (place && fee && turn) {
        PyObject *values[RESTING_SLOTS] = {entrance->account, quote->order, entrance->order_set, place, entrance->root, left, turn, fee};
        made = make_object(&self->resting, values, RESTING_SLOTS);
    }
    Py_XDECREF(place);
    Py_XDECREF(fee);
    Py_XDECREF(turn);
    return made;
}

/* The order takes its place, in the book and among its account's. */
static int put(const Quotes *self, Entrance *entrance, const Quote *quote, PyObject *resting)
{
    if (quote->live && !quote->keeps_turn) { /* the undo step keeps the live order alive */
        if (leave_side(self, quote->own_side, slot_of(&self->resting, quote->live, ACCOUNT), quote->old, quote->taken.limit) ||
            PyDict_DelItem(entrance->mine, quote->slot))
            return -1;
        if (!PyDict_GET_SIZE(entrance->mine)) {
            entrance->mine = NULL;
            if (PyDict_DelItem(entrance->open_orders, entrance->account))
                return -1;
        }
    }
    if (!entrance->mine) {
        PyObject *mine = PyDict_New();
        int failed = mine ? PyDict_SetItem(entrance->open_orders, entrance->account, mine) : -1;
        Py_XDECREF(mine);
        if (failed)
            return -1;
        entrance->mine = mine; /* open_orders has it */
    }
    return join_side(self, entrance->account, quote, resting) || PyDict_SetItem(entrance->mine, quote->slot, resting) ? -1 : 0;
}

static int enter_found(const Quotes *self, Entrance *entrance, Quote *quote, int64_t index)
{
    Exposure *exposure = entrance->exposure;
    Py_ssize_t open = entrance->mine ? PyDict_GET_SIZE(entrance->mine) : 0;
    Change change;
    if ((!quote->live && open >= entrance->orders_max) || (!quote->keeps_turn && !meets_nobody(self, quote)))
        return 0;
    const Open added = {quote->limit, quote->fee, quote->left};
    if (!plan_change(exposure, quote->row, quote->side ? 1 : -1, &quote->taken, &added, entrance->cash, entrance->most, &change) || change.surplus < 0 ||
        change.instruments > entrance->positions_max)
        return 0;
    const int64_t reached = quote->side ? change.entry.buys + change.entry.size : change.entry.sells - change.entry.size;
    if (reached > quote->most_lots)
        return 0;
    PyObject *left = PyLong_FromLongLong(quote->left), *resting = left ? make_resting(self, entrance, quote, index, left) : NULL;
    int failed = !resting || make_room(exposure, 1) || report(self, entrance, quote, resting, left) || put(self, entrance, quote, resting) ? -1 : 1;
    Py_XDECREF(left);
    Py_XDECREF(resting);
    if (failed > 0)
        make_change(exposure, &change);
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "book: expected a BookSide");
    return failed;
}

static int enter_one(const Quotes *self, Entrance *entrance, Py_ssize_t index)
{
    Quote quote;
    int going = read_quote(self, entrance, PyTuple_GET_ITEM(entrance->orders, index), &quote);
    if (going <= 0)
        return going;
    quote.slot = PyLong_FromUnsignedLongLong(quote.nonce % entrance->slot_count);
    if (!quote.slot)
        return -1;
    going = find_live(self, entrance, &quote);
    if (going > 0)
        going = enter_found(self, entrance, &quote, index);
    Py_DECREF(quote.slot);
    return going;
}

enum {
    ORDERS, START, FOR_ACCOUNT, SET, ROOT, FIRST_TURN, EXPOSURE, CASH, MOST, LEAST_NONCE, SLOT_COUNT, FILLED, OPEN_ORDERS, BOOKS, UNITS, TIME_MS,
    POSITIONS_MAX, ORDERS_MAX, EVENTS, STEPS, EXCHANGE, ARGUMENTS
};

static int read_entrance(PyObject *const *given, Entrance *entrance)
{
    *entrance = (Entrance){
        .orders = given[ORDERS], .account = given[FOR_ACCOUNT], .order_set = given[SET], .root = given[ROOT], .filled = given[FILLED],
        .open_orders = given[OPEN_ORDERS], .books = given[BOOKS], .units = given[UNITS], .events = given[EVENTS], .steps = given[STEPS],
        .exchange = given[EXCHANGE], .exposure = (Exposure *)given[EXPOSURE],
    };
    if (!PyTuple_Check(given[ORDERS]) || !Py_IS_TYPE(given[EXPOSURE], &exposure_type) || !PyList_Check(given[EVENTS]) || !PyList_Check(given[STEPS])) {
        PyErr_SetString(PyExc_TypeError, "enter: expected a tuple of orders, an Exposure, and lists of events and steps");
        return -1;
    }
    const int dicts[] = {FILLED, OPEN_ORDERS, BOOKS, UNITS};
    for (int i = 0; i < 4; i++) {
        if (!PyDict_Check(given[dicts[i]])) {
            PyErr_SetString(PyExc_TypeError, "enter: expected dicts of slots, open orders, books and units");
            return -1;
        }
    }
    if (!is_word(given[LEAST_NONCE], &entrance->least_nonce) || !is_word(given[SLOT_COUNT], &entrance->slot_count) || !entrance->slot_count) {
        PyErr_SetString(PyExc_ValueError, "least_nonce, slot_count: expected integers of 64 bits, and slots");
        return -1;
    }
    if (read_cash(given[CASH], &entrance->cash) || read_int(given[MOST], "lots", -1, SIZE_LOTS_MAX, &entrance->most) ||
        read_int(given[FIRST_TURN], "turn", 0, INT64_MAX - 64, &entrance->turn) ||
        read_int(given[TIME_MS], "time_ms", INT64_MIN, INT64_MAX, &entrance->time_ms) ||
        read_int(given[POSITIONS_MAX], "positions_max", 0, INT64_MAX, &entrance->positions_max) ||
        read_int(given[ORDERS_MAX], "orders_max", 0, INT64_MAX, &entrance->orders_max))
        return -1;
    if (item(entrance->open_orders, entrance->account, &entrance->mine) < 0)
        return -1;
    if (entrance->mine && !PyDict_Check(entrance->mine)) {
        PyErr_SetString(PyExc_TypeError, "open_orders: expected a dict of each account");
        return -1;
    }
    return 0;
}

static PyObject *quotes_enter(PyObject *object, PyObject *const *given, Py_ssize_t count)
{
    Entrance entrance;
    int64_t index;
    if (check_count("enter", count, ARGUMENTS) || read_entrance(given, &entrance) ||
        read_int(given[START], "start", 0, PyTuple_GET_SIZE(entrance.orders), &index))
        return NULL;
    for (int going = 1; index < PyTuple_GET_SIZE(entrance.orders); index++) {
        going = enter_one((Quotes *)object, &entrance, index);
        if (going < 0)
            return NULL;
        if (!going)
            break;
    }
    return PyLong_FromLongLong(index);
}

/* ---- the type */

static PyObject *quotes_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"order", "resting", "unit", "book", "side", "placed", "cancelled", "amended", "replaced", "take_back", NULL};
    PyObject *order, *resting, *unit, *book, *side, *placed, *cancelled, *amended, *replaced, *take_back;
    Quotes made = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOOOOOOO:Quotes", names, &order, &resting, &unit, &book, &side, &placed, &cancelled, &amended,
                                     &replaced, &take_back) ||
        find_shape(order, order_slots, true, &made.order) || find_shape(resting, resting_slots, true, &made.resting) ||
        find_shape(unit, unit_slots, false, &made.unit) || find_shape(book, book_slots, true, &made.book) || find_shape(side, side_slots, false, &made.side) ||
        find_shape(placed, placed_slots, true, &made.placed) || find_shape(cancelled, cancelled_slots, true, &made.cancelled))
        return NULL;
    Quotes *self = (Quotes *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    made.ob_base = self->ob_base;
    *self = made;
    PyObject *kept[] = {order, resting, unit, book, side, placed, cancelled};
    for (int i = 0; i < 7; i++)
        Py_INCREF(kept[i]);
    self->amended = Py_NewRef(amended);
    self->replaced = Py_NewRef(replaced);
    self->take_back = Py_NewRef(take_back);
    return (PyObject *)self;
}

static void quotes_dealloc(PyObject *object)
{
    Quotes *self = (Quotes *)object;
    const Shape *shapes[] = {&self->order, &self->resting, &self->unit, &self->book, &self->side, &self->placed, &self->cancelled};
    for (int i = 0; i < 7; i++)
        Py_DECREF(shapes[i]->type);
    Py_DECREF(self->amended);
    Py_DECREF(self->replaced);
    Py_DECREF(self->take_back);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"enter", (PyCFunction)(void (*)(void))quotes_enter, METH_FASTCALL, "enter(...): see kernel_reference.Quotes."},
    {0},
};

PyTypeObject quotes_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "straddle.core._kernel.Quotes",
    .tp_doc = "Orders that only come to rest.",
    .tp_basicsize = sizeof(Quotes),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = quotes_new,
    .tp_dealloc = quotes_dealloc,
    .tp_methods = methods,
};
