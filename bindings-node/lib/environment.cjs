"use strict";

/**
 * This JavaScript environment's end of the engine: one queue, one doorbell, one timer.
 *
 * A call or watch holds a slot from its start until its last event. The doorbell rings when events are waiting; they
 * are then drained in batches into buffers that are used again and again, and handed to the slots' owners. Owners
 * have some of the methods `onUnary onHeaders onMessage onWritable onStatus onConnectivity`.
 */

const { Queue } = require("./native.cjs");
const { CallEnd } = require("./end.cjs");
const { readEnd, readHeaders } = require("./words.cjs");

/** Fields of an event's header, and the kinds of event: as in `src/events.rs`. */
const FIELDS = 8;
const UNARY = 0;
const HEADERS = 1;
const MESSAGE = 2;
const WRITABLE = 3;
const STATUS = 4;
const CONNECTIVITY = 5;
/** A bit of the flags field. */
const TIMED_OUT = 4;
/** The length of a text that is the same as the one before of its kind. */
const AS_BEFORE = -1;
/** Added to the number of events when the doorbell may not ring before there was another look. */
const MORE = 0x10000;

/** After so many events, or so long, other things of the event loop get their turn. */
const EVENTS_PER_TURN = 1024;
const MILLISECONDS_PER_TURN = 2;
const EVENTS_BETWEEN_CLOCK_READS = 32;

/** Methods are few; a program that makes them up must not grow the table for ever. */
const MOST_METHODS = 4096;

/** Node's longest interval. The timer does nothing: while it is ref'd, the event loop stays open. */
const LONGEST_INTERVAL = 0x7fffffff;

const header = new Float64Array(FIELDS * 256);
const slab = Buffer.allocUnsafeSlow(64 * 1024);
const large = [];

const owners = [];
const freeSlots = [];
/** The addon's numbers: by authority, undefined for the channel's own, then by path. */
const methods = new Map();
let methodCount = 0;
const delivery = { wakeups: 0, events: 0 };

const openLoop = setInterval(() => {}, LONGEST_INTERVAL);
openLoop.unref();
let holders = 0;
/** Events in the buffers, and the first one not yet delivered. */
let batch = 0;
let next = 0;
/** There may be events that the doorbell does not ring for. */
let mayHaveMore = false;
/** The words of the last end and headers. A server says the same again and again, and then they cross once. */
let endWords;
let headerWords;
/** Takes log lines, where somebody listens. */
let onLogLines;
/** An immediate is set that will deliver the rest. */
let comesBack = false;

const queue = new Queue(onDoorbell);

function claimSlot(owner) {
  const slot = freeSlots.length > 0 ? freeSlots.pop() : owners.length;
  owners[slot] = owner;
  return slot;
}

function freeSlot(slot) {
  owners[slot] = undefined;
  freeSlots.push(slot);
}

/** Keeps the event loop open until the same number of `release` calls. */
function hold() {
  if (holders++ === 0) openLoop.ref();
}

function release() {
  if (--holders === 0) openLoop.unref();
}

/** The addon's number for a method path, under another authority than the channel's if one is given. */
function methodNumber(path, authority) {
  return methods.get(authority)?.get(path) ?? newMethodNumber(path, authority);
}

function newMethodNumber(path, authority) {
  if (methodCount >= MOST_METHODS) {
    methodCount = 0;
    methods.clear();
    queue.forgetMethods();
  }
  methodCount += 1;
  const number = queue.method(path, authority);
  const ofAuthority = methods.get(authority);
  if (ofAuthority === undefined) methods.set(authority, new Map([[path, number]]));
  else ofAuthority.set(path, number);
  return number;
}

function onDoorbell() {
  delivery.wakeups += 1;
  mayHaveMore = true;
  if (!comesBack) deliverTurn();
}

function onImmediate() {
  comesBack = false;
  deliverTurn();
}

/** Delivers what is waiting, within one turn's share; the rest has its turn after the event loop's other business. */
function deliverTurn() {
  const until = performance.now() + MILLISECONDS_PER_TURN;
  for (let delivered = 1; next < batch || drainBatch(); delivered++) {
    deliverNext();
    const isTimeToLook = delivered % EVENTS_BETWEEN_CLOCK_READS === 0;
    if (isTimeToLook && (delivered >= EVENTS_PER_TURN || performance.now() >= until)) {
      comesBack = true;
      setImmediate(onImmediate);
      return;
    }
  }
  // Behind the look that lets the doorbell ring again.
  if (onLogLines !== undefined) onLogLines();
}

/** Has `take` called when there may be log lines, or nobody. */
function listenForLogLines(take) {
  onLogLines = take;
}

/** False when nothing is waiting; the doorbell will ring again. */
function drainBatch() {
  if (!mayHaveMore) return false;
  if (large.length > 0) large.length = 0;
  const drained = queue.drain(header, slab, large);
  mayHaveMore = drained >= MORE;
  batch = drained % MORE;
  next = 0;
  delivery.events += batch;
  return batch > 0;
}

function deliverNext() {
  const at = next * FIELDS;
  next += 1;
  try {
    deliver(at);
  } catch (error) {
    // Thrown by somebody's callback: theirs to meet as an uncaughtException, and no business of the other events.
    process.nextTick(rethrow, error);
  }
}

/** For `process.nextTick`: makes an error an uncaughtException with its own stack. */
function rethrow(error) {
  throw error;
}

function deliver(at) {
  const slot = header[at];
  if (slot < 0) return;
  const owner = owners[slot];
  switch (header[at + 1]) {
    case MESSAGE:
      owner.onMessage(messageAt(at));
      return;
    case UNARY:
      freeSlot(slot);
      owner.onUnary(endAt(at), messageAt(at));
      return;
    case HEADERS:
      owner.onHeaders(headersAt(at));
      return;
    case WRITABLE:
      owner.onWritable();
      return;
    case STATUS:
      freeSlot(slot);
      owner.onStatus(endAt(at));
      return;
    case CONNECTIVITY:
      freeSlot(slot);
      owner.onConnectivity(header[at + 2], (header[at + 3] & TIMED_OUT) !== 0);
      return;
  }
}

function endAt(at) {
  if (header[at + 5] !== AS_BEFORE) endWords = readEnd(textAt(at));
  return new CallEnd(header[at + 2], header[at + 3], endWords);
}

function headersAt(at) {
  if (header[at + 5] !== AS_BEFORE) headerWords = readHeaders(textAt(at));
  return headerWords;
}

function textAt(at) {
  const place = header[at + 4];
  const length = header[at + 5];
  return place < 0 ? large[-1 - place].toString("latin1") : slab.toString("latin1", place, place + length);
}

/** The event's message as a Buffer of its own, or undefined. */
function messageAt(at) {
  const place = header[at + 6];
  const length = header[at + 7];
  if (length < 0) return undefined;
  if (place < 0) return large[-1 - place];
  const message = Buffer.allocUnsafe(length);
  slab.copy(message, 0, place, place + length);
  return message;
}

/** What is under way, for tests and programs that look for leaks. */
function openCounts() {
  return { slots: owners.length - freeSlots.length, calls: queue.openCount(), channels: queue.channelCount(), holders };
}

module.exports = { queue, delivery, claimSlot, freeSlot, hold, release, listenForLogLines, methodNumber, openCounts, rethrow };
