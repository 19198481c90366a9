/* One account on one table, kept in steps. Every step has an exact inverse; a step that is refused changes nothing. */
#include "kernel.h"
#include <string.h>

#define MOVE_LOTS_MAX (2 * SIZE_LOTS_MAX)

/* ---- entries */

/* Where the entry of a row is, or would be. */
static Py_ssize_t place_of(const Exposure *self, const Row *row)
{
    Py_ssize_t low = 0, high = self->count;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (self->entries[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static Entry entry_of(const Exposure *self, const Row *row)
{
    Py_ssize_t place = place_of(self, row);
    return place < self->count && self->entries[place].row == row ? self->entries[place] : (Entry){row, 0, 0, 0};
}

int make_room(Exposure *self, Py_ssize_t more)
{
    if (self->count + more <= self->capacity)
        return 0;
    Py_ssize_t capacity = 2 * (self->count + more);
    Entry *entries = PyMem_Realloc(self->entries, (size_t)capacity * sizeof(Entry));
    if (!entries) {
        PyErr_NoMemory();
        return -1;
    }
    self->entries = entries;
    self->capacity = capacity;
    return 0;
}

static int128 extra_charge(const Entry *entry)
{
    int128 bought = charge_im(entry->row, (int128)entry->size + entry->buys), sold = charge_im(entry->row, (int128)entry->size - entry->sells);
    return (bought > sold ? bought : sold) - charge_im(entry->row, entry->size);
}

/* Puts an entry in the place of its row's present one, or takes that away, and brings the charges up to date. Needs room for one. */
static void set_entry(Exposure *self, Entry entry)
{
    Py_ssize_t place = place_of(self, entry.row);
    Entry before = entry_of(self, entry.row), *at = self->entries + place;
    bool there = place < self->count && at->row == entry.row, stays = entry.size || entry.buys || entry.sells;
    size_t behind = (size_t)(self->count - place) * sizeof(Entry);
    self->charges += charge_im(entry.row, entry.size) - charge_im(entry.row, before.size);
    self->extra += extra_charge(&entry) - extra_charge(&before);
    if (stays && !there) {
        memmove(at + 1, at, behind);
        self->count++;
    } else if (there && !stays) {
        memmove(at, at + 1, behind - sizeof(Entry));
        self->count--;
    }
    if (stays)
        *at = entry;
}

/* ---- construction */

static Exposure *allocate(Table *table, int64_t k_im, Py_ssize_t capacity)
{
    Exposure *self = (Exposure *)exposure_type.tp_alloc(&exposure_type, 0);
    if (!self)
        return NULL;
    self->table = (Table *)Py_NewRef(table);
    self->k_im = k_im;
    if (make_room(self, capacity ? capacity : 1))
        Py_CLEAR(self);
    return self;
}

static PyObject *exposure_new(PyTypeObject *Py_UNUSED(type), PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"table", "k_im_bps", NULL};
    PyObject *table, *k_im_bps;
    int64_t k_im;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO:Exposure", names, &table, &k_im_bps) || check_table(table) ||
        read_int(k_im_bps, "k_im_bps", 0, FACTOR_MAX, &k_im))
        return NULL;
    return (PyObject *)allocate((Table *)table, k_im, 0);
}

static void exposure_dealloc(PyObject *object)
{
    Exposure *self = (Exposure *)object;
    PyMem_Free(self->entries);
    PyMem_Free(self->prices);
    Py_XDECREF(self->table);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *exposure_copy(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    const Exposure *self = (Exposure *)object;
    Exposure *copied = allocate(self->table, self->k_im, self->count);
    if (!copied)
        return NULL;
    if (self->prices) {
        copied->prices = PyMem_Malloc(sizeof(Prices));
        if (!copied->prices) {
            Py_DECREF(copied);
            return PyErr_NoMemory();
        }
        *copied->prices = *self->prices;
    }
    copied->count = self->count;
    memcpy(copied->entries, self->entries, (size_t)self->count * sizeof(Entry));
    copied->value = self->value;
    copied->charges = self->charges;
    copied->extra = self->extra;
    memcpy(copied->paths, self->paths, sizeof self->paths);
    memcpy(copied->reserved, self->reserved, sizeof self->reserved);
    return (PyObject *)copied;
}

/* ---- steps */

static PyObject *exposure_move(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    Exposure *self = (Exposure *)object;
    const Row *row;
    int64_t lots;
    if (check_count("move", count, 2) || !(row = find_row(self->table, arguments[0])) ||
        read_int(arguments[1], "lots", -MOVE_LOTS_MAX, MOVE_LOTS_MAX, &lots))
        return NULL;
    Entry entry = entry_of(self, row);
    entry.size += lots;
    if (Py_ABS(entry.size) > SIZE_LOTS_MAX)
        return PyErr_Format(PyExc_ValueError, "size: %lld, expected %lld to %lld", (long long)entry.size, -(long long)SIZE_LOTS_MAX, (long long)SIZE_LOTS_MAX);
    if (make_room(self, 1))
        return NULL;
    self->value += (int128)lots * row->value;
    int64_t weight = self->k_im * lots;
    for (int path = 0; path < PATHS; path++)
        self->paths[path] += (int128)weight * row->deltas[path];
    set_entry(self, entry);
    Py_RETURN_NONE;
}

int read_legs(const Table *table, PyObject *given, Leg *legs)
{
    Py_ssize_t count = PyTuple_Check(given) ? PyTuple_GET_SIZE(given) : 0;
    if (count < 1 || count > LEGS_MAX) {
        PyErr_Format(PyExc_ValueError, "legs: %R, expected a tuple of 1 to %d (instrument, ratio)", given, LEGS_MAX);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *leg = PyTuple_GET_ITEM(given, i);
        if (!PyTuple_Check(leg) || PyTuple_GET_SIZE(leg) != 2) {
            PyErr_Format(PyExc_ValueError, "leg: %R, expected (instrument, ratio)", leg);
            return -1;
        }
        legs[i].row = find_row(table, PyTuple_GET_ITEM(leg, 0));
        if (!legs[i].row)
            return -1;
        if (i && legs[i].row <= legs[i - 1].row) {
            PyErr_Format(PyExc_ValueError, "legs: %R, expected strictly ascending instruments", given);
            return -1;
        }
        if (read_int(PyTuple_GET_ITEM(leg, 1), "ratio", -RATIO_MAX, RATIO_MAX, &legs[i].ratio))
            return -1;
        if (!legs[i].ratio) {
            PyErr_Format(PyExc_ValueError, "legs: %R, expected no ratio of 0", given);
            return -1;
        }
    }
    return (int)count;
}

/* What an order loses on a path, or 0. */
static inline int128 loss(int128 base, int64_t weight, int64_t net)
{
    const int128 result = base + (int128)weight * net; /* without branches: half of the results are losses */
    return result & (result >> 127);
}

/* What is reserved on each path after `units` more of an order; whether that is within the bound. */
static bool reserve_paths(const Exposure *self, const Leg *legs, int leg_count, int64_t sign, int64_t limit, int64_t fee, int64_t units, int128 *reserved)
{
    int64_t amount = Py_ABS(units), mark = legs[0].ratio * legs[0].row->mark, nets[PATHS];
    for (int path = 0; path < PATHS; path++)
        nets[path] = legs[0].ratio * legs[0].row->deltas[path];
    for (int i = 1; i < leg_count; i++) {
        mark += legs[i].ratio * legs[i].row->mark;
        for (int path = 0; path < PATHS; path++)
            nets[path] += legs[i].ratio * legs[i].row->deltas[path];
    }
    const int128 base = (int128)(BPS * amount) * (sign * (mark - limit) - fee), taken = units > 0 ? 0 : -1;
    const int64_t weight = self->k_im * sign * amount; /* below 2^56 */
    uint64_t beyond = 0;
    for (int path = 0; path < PATHS; path++) {
        const int128 total = self->reserved[path] + ((loss(base, weight, nets[path]) ^ taken) - taken);
        reserved[path] = total;
        beyond |= is_beyond(total);
    }
    return !beyond;
}

static int add_open(const char *name, int64_t *total, int64_t lots)
{
    *total += lots;
    if (*total >= 0 && *total <= OPEN_LOTS_MAX)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: %lld, expected 0 to %lld", name, (long long)*total, (long long)OPEN_LOTS_MAX);
    return -1;
}

static PyObject *exposure_reserve(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    Exposure *self = (Exposure *)object;
    Terms terms;
    Entry entries[LEGS_MAX];
    int128 reserved[PATHS], beyond[PATHS];
    int64_t sign, limit, fee, units;
    if (check_count("reserve", count, 5))
        return NULL;
    const int leg_count = terms.leg_count = read_legs(self->table, arguments[0], terms.legs);
    const Leg *legs = terms.legs;
    if (leg_count < 0 || read_int(arguments[1], "sign", -1, 1, &sign))
        return NULL;
    if (!sign)
        return PyErr_Format(PyExc_ValueError, "sign: 0, expected -1 or 1");
    if (read_int(arguments[2], "limit_ticks", -NET_TICKS_MAX, NET_TICKS_MAX, &limit) || read_int(arguments[3], "fee", 0, NET_TICKS_MAX, &fee) ||
        read_int(arguments[4], "units", -SIZE_LOTS_MAX, SIZE_LOTS_MAX, &units))
        return NULL;
    bool within = reserve_paths(self, legs, leg_count, sign, limit, fee, units, reserved);
    if (self->prices) {
        make_terms(&terms, sign, limit, fee, units);
        memcpy(beyond, self->prices->beyond, sizeof beyond);
        within = add_beyond(self, &terms, beyond) && within;
    }
    if (!within) {
        PyErr_SetString(PyExc_ValueError, "reserved: beyond 2^126, expected fewer or smaller open orders");
        return NULL;
    }
    for (int i = 0; i < leg_count; i++) {
        int64_t lots = sign * legs[i].ratio;
        entries[i] = entry_of(self, legs[i].row);
        if (lots > 0 ? add_open("open buys", &entries[i].buys, lots * units) : add_open("open sells", &entries[i].sells, -lots * units))
            return NULL;
    }
    if (make_room(self, leg_count))
        return NULL;
    memcpy(self->reserved, reserved, sizeof reserved);
    if (self->prices)
        memcpy(self->prices->beyond, beyond, sizeof beyond);
    for (int i = 0; i < leg_count; i++)
        set_entry(self, entries[i]);
    Py_RETURN_NONE;
}

/* ---- one order in place of another */

bool plan_change(const Exposure *self, const Row *row, int64_t sign, const Open *taken, const Open *added, int128 cash, int64_t most, Change *change)
{
    const int64_t taken_weight = self->k_im * sign * taken->units, added_weight = self->k_im * sign * added->units;
    const int128 taken_base = (int128)(BPS * taken->units) * (sign * (row->mark - taken->limit) - taken->fee);
    const int128 added_base = (int128)(BPS * added->units) * (sign * (row->mark - added->limit) - added->fee);
    int128 worst = (int128)(((uint128)1 << 127) - 1);
    uint64_t beyond = 0;
    for (int path = 0; path < PATHS; path++) {
        const int64_t delta = row->deltas[path];
        const int128 reserved = self->reserved[path] - loss(taken_base, taken_weight, delta) + loss(added_base, added_weight, delta);
        const int128 total = self->paths[path] + reserved;
        change->reserved[path] = reserved;
        beyond |= is_beyond(reserved);
        worst = total < worst ? total : worst;
    }
    Entry before = entry_of(self, row), after = before;
    *(sign > 0 ? &after.buys : &after.sells) += added->units - taken->units;
    change->entry = after;
    change->instruments = self->count + !(before.size || before.buys || before.sells);
    change->surplus = BPS * (cash + self->value - self->charges - self->extra - extra_charge(&after) + extra_charge(&before)) + worst;
    if (self->prices) {
        const Open *opens[] = {taken, added};
        memcpy(change->beyond, self->prices->beyond, sizeof change->beyond);
        for (int i = 0; i < 2; i++) {
            Terms terms = {.legs = {{row, 1}}, .leg_count = 1};
            make_terms(&terms, sign, opens[i]->limit, opens[i]->fee, i ? opens[i]->units : -opens[i]->units);
            beyond |= !add_beyond(self, &terms, change->beyond);
        }
        if (change->surplus < 0 && most >= 0)
            change->surplus = capped_bound(self, cash, most, change->beyond);
    }
    return !beyond && after.buys >= 0 && after.buys <= OPEN_LOTS_MAX && after.sells >= 0 && after.sells <= OPEN_LOTS_MAX;
}

void make_change(Exposure *self, const Change *change)
{
    memcpy(self->reserved, change->reserved, sizeof self->reserved);
    if (self->prices)
        memcpy(self->prices->beyond, change->beyond, sizeof change->beyond);
    set_entry(self, change->entry);
}

/* ---- results */

static PyObject *exposure_surplus_scaled(PyObject *object, PyObject *cash_object)
{
    const Exposure *self = (Exposure *)object;
    int128 cash, worst = self->paths[0];
    if (read_cash(cash_object, &cash))
        return NULL;
    for (int path = 1; path < PATHS; path++)
        worst = self->paths[path] < worst ? self->paths[path] : worst;
    return object_from_wide(BPS * (cash + self->value - self->charges) + worst);
}

static PyObject *exposure_reserved_surplus_scaled(PyObject *object, PyObject *cash_object)
{
    const Exposure *self = (Exposure *)object;
    int128 cash, worst = self->paths[0] + self->reserved[0];
    if (read_cash(cash_object, &cash))
        return NULL;
    for (int path = 1; path < PATHS; path++) {
        int128 total = self->paths[path] + self->reserved[path];
        worst = total < worst ? total : worst;
    }
    return object_from_wide(BPS * (cash + self->value - self->charges - self->extra) + worst);
}

static PyObject *exposure_capped_bound_scaled(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    const Exposure *self = (Exposure *)object;
    int128 cash;
    int64_t most;
    if (check_count("capped_bound_scaled", count, 2) || read_cash(arguments[0], &cash) || read_int(arguments[1], "lots", 0, SIZE_LOTS_MAX, &most))
        return NULL;
    if (!self->prices)
        Py_RETURN_NONE;
    return object_from_wide(capped_bound(self, cash, most, self->prices->beyond));
}

static PyObject *tuple_from_wide(const int128 *values);

static PyObject *exposure_prices(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    const Prices *prices = ((Exposure *)object)->prices;
    if (!prices)
        Py_RETURN_NONE;
    return Py_BuildValue("NN", tuple_from_wide(prices->price), tuple_from_wide(prices->beyond));
}

static PyObject *exposure_lots(PyObject *object, PyObject *instrument)
{
    const Exposure *self = (Exposure *)object;
    const Row *row = find_row(self->table, instrument);
    if (!row)
        return NULL;
    Entry entry = entry_of(self, row);
    return Py_BuildValue("LLL", (long long)entry.size, (long long)entry.buys, (long long)entry.sells);
}

static PyObject *exposure_instruments(PyObject *object, void *Py_UNUSED(closure)) { return PyLong_FromSsize_t(((Exposure *)object)->count); }

static PyObject *tuple_from_wide(const int128 *values)
{
    PyObject *result = PyTuple_New(PATHS);
    for (int path = 0; result && path < PATHS; path++) {
        PyObject *value = object_from_wide(values[path]);
        if (value)
            PyTuple_SET_ITEM(result, path, value);
        else
            Py_CLEAR(result);
    }
    return result;
}

static PyObject *exposure_state(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    const Exposure *self = (Exposure *)object;
    PyObject *entries = PyTuple_New(self->count);
    for (Py_ssize_t i = 0; entries && i < self->count; i++) {
        const Entry *entry = &self->entries[i];
        PyObject *item = Py_BuildValue("LLLL", (long long)entry->row->instrument, (long long)entry->size, (long long)entry->buys, (long long)entry->sells);
        if (item)
            PyTuple_SET_ITEM(entries, i, item);
        else
            Py_CLEAR(entries);
    }
    if (!entries)
        return NULL;
    return Py_BuildValue("NNNNNN", object_from_wide(self->value), object_from_wide(self->charges), object_from_wide(self->extra),
                         tuple_from_wide(self->paths), tuple_from_wide(self->reserved), entries);
}

static PyObject *exposure_repr(PyObject *object)
{
    PyObject *state = exposure_state(object, NULL);
    PyObject *text = state ? PyUnicode_FromFormat("Exposure%R", state) : NULL;
    Py_XDECREF(state);
    return text;
}

static bool same_state(const Exposure *one, const Exposure *other)
{
    if (one->count != other->count || one->value != other->value || one->charges != other->charges || one->extra != other->extra ||
        memcmp(one->paths, other->paths, sizeof one->paths) || memcmp(one->reserved, other->reserved, sizeof one->reserved))
        return false;
    for (Py_ssize_t i = 0; i < one->count; i++) {
        const Entry *left = &one->entries[i], *right = &other->entries[i];
        if (left->row->instrument != right->row->instrument || left->size != right->size || left->buys != right->buys || left->sells != right->sells)
            return false;
    }
    return true;
}

static PyObject *exposure_compare(PyObject *object, PyObject *other, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !Py_IS_TYPE(other, &exposure_type))
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong(same_state((Exposure *)object, (Exposure *)other) == (operation == Py_EQ));
}

/* ---- the type */

#define FAST(function) (PyCFunction)(void (*)(void))(function)

static PyMethodDef methods[] = {
    {"copy", exposure_copy, METH_NOARGS, "An independent copy on the same table."},
    {"move", FAST(exposure_move), METH_FASTCALL, "move(instrument, lots): the position grows by `lots`, signed."},
    {"reserve", FAST(exposure_reserve), METH_FASTCALL, "reserve(legs, sign, limit_ticks, fee, units): `units` more of an open order; fewer when negative."},
    {"surplus_scaled", exposure_surplus_scaled, METH_O, "(equity - IM) * BPS of the positions alone."},
    {"reserved_surplus_scaled", exposure_reserved_surplus_scaled, METH_O, "The same after the worst fills of the open orders."},
    {"capped_bound_scaled", FAST(exposure_capped_bound_scaled), METH_FASTCALL, "capped_bound_scaled(cash, lots): the same when that many lots fill, or less."},
    {"prices", exposure_prices, METH_NOARGS, "What `Cap` keeps: by path the price of a lot, and what open orders may lose beyond it."},
    {"lots", exposure_lots, METH_O, "Size, open buys and open sells in one instrument."},
    {"state", exposure_state, METH_NOARGS, "Everything, as plain numbers."},
    {0},
};

static PyGetSetDef getters[] = {
    {"instruments", exposure_instruments, NULL, "Number of instruments held or with open orders.", NULL},
    {0},
};

PyTypeObject exposure_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "straddle.core._kernel.Exposure",
    .tp_doc = "One account on one table, kept in steps.",
    .tp_basicsize = sizeof(Exposure),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = exposure_new,
    .tp_dealloc = exposure_dealloc,
    .tp_repr = exposure_repr,
    .tp_richcompare = exposure_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_methods = methods,
    .tp_getset = getters,
};
