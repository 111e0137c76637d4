import { expect } from 'chai'
import fc from 'fast-check'
import {
  boolean,
  bytes,
  double,
  integer,
  list,
  type Message,
  message,
  oneOf,
  optional,
  required,
  text,
  textMap,
  UNKNOWN_FIELDS,
  word,
} from '../src/index.js'

interface Inner {
  readonly name: string
  readonly size?: number
}
const Inner: Message<Inner> = message<Inner>('Inner', 1, {
  name: required(1, text),
  size: optional(2, integer),
})

interface Sample {
  readonly count: number
  readonly flag: boolean
  readonly label: string
  readonly raw: Uint8Array
  readonly big: bigint
  readonly ratio: number
  readonly kind: 'a' | 'b'
  readonly tags: Record<string, string>
  readonly inner?: Inner
  readonly many: readonly Inner[]
}
const Sample: Message<Sample> = message<Sample>('Sample', 2, {
  count: required(1, integer),
  flag: required(2, boolean),
  label: required(3, text),
  raw: required(4, bytes()),
  big: required(5, word),
  ratio: required(6, double),
  kind: required(7, oneOf<'a' | 'b'>('a', 'b')),
  tags: required(8, textMap),
  inner: optional(9, Inner),
  many: list(10, Inner),
})

const wellFormed = fc.string({ unit: 'binary' })
const inner = fc.record(
  { name: wellFormed, size: fc.maxSafeNat() },
  { requiredKeys: ['name'], noNullPrototype: true },
)
const sample = fc.record(
  {
    count: fc.maxSafeNat(),
    flag: fc.boolean(),
    label: wellFormed,
    raw: fc.uint8Array({ maxLength: 3000 }),
    big: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    ratio: fc.double({ noNaN: true }),
    kind: fc.constantFrom('a' as const, 'b' as const),
    tags: fc.dictionary(
      wellFormed.filter((name) => name !== '__proto__'),
      wellFormed,
    ),
    inner,
    many: fc.array(inner, { maxLength: 300 }),
  },
  {
    requiredKeys: ['count', 'flag', 'label', 'raw', 'big', 'ratio', 'kind', 'tags', 'many'],
    noNullPrototype: true,
  },
)

function plain(value: Sample): unknown {
  return { ...value, raw: Buffer.from(value.raw).toString('hex'), tags: { ...value.tags } }
}

describe('message', () => {
  it('gives back every value it encoded', () => {
    fc.assert(
      fc.property(sample, (value) => {
        expect(plain(Sample.decode(Sample.encode(value)))).to.deep.equal(plain(value))
      }),
      { numRuns: 300 },
    )
  })

  it('gives back an empty nested message wherever it falls in the buffer that grows', () => {
    interface Loose {
      readonly size?: number
    }
    interface Outer {
      readonly before: Uint8Array
      readonly inner: Loose
    }
    const Loose: Message<Loose> = message<Loose>('Loose', 1, { size: optional(1, integer) })
    const Outer: Message<Outer> = message<Outer>('Outer', 1, {
      before: required(1, bytes()),
      inner: required(2, Loose),
    })
    for (let size = 900; size < 4200; size++) {
      const found = Outer.decode(Outer.encode({ before: Buffer.alloc(size, 7), inner: {} }))
      expect(found.inner, `${size} bytes before it`).to.deep.equal({})
    }
  })

  it('never crashes on garbage: it decodes or rejects with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        try {
          Sample.decode(garbage)
        } catch (error) {
          expect(error).to.have.property('code').that.is.oneOf(['MessageCorrupt', 'FormatTooNew'])
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('rejects every truncation of a message with required fields at its end', () => {
    const whole = Inner.encode({ name: 'abcdef' })
    for (let size = 0; size < whole.length; size++) {
      expect(() => Inner.decode(whole.subarray(0, size)), `${size} bytes`).to.throw(/ends early|missing/)
    }
  })

  it('keeps and writes again the fields that a newer version added', () => {
    interface Newer extends Inner {
      readonly extra: string
      readonly more: readonly number[]
    }
    const Newer: Message<Newer> = message<Newer>('Inner', 1, {
      name: required(1, text),
      size: optional(2, integer),
      extra: required(3, text),
      more: list(4, integer),
    })
    const old = Inner.decode(Newer.encode({ name: 'n', size: 5, extra: 'kept', more: [1, 2] }))
    expect(old).to.have.property(UNKNOWN_FIELDS as unknown as string)
    const again = Newer.decode(Inner.encode({ ...old, size: 6 }))
    expect(again).to.deep.equal({ name: 'n', size: 6, extra: 'kept', more: [1, 2] })
  })

  it('refuses a newer format with a clear error', () => {
    expect(() => Inner.decode(Uint8Array.of(2, 10, 1, 65)))
      .to.throw('Inner has format 2; this version knows 1')
      .with.property('code', 'FormatTooNew')
  })

  it('refuses values that it could not give back', () => {
    const value = { name: 'x', size: -1 }
    expect(() => Inner.encode(value))
      .to.throw()
      .with.property('code', 'InvalidArgument')
    expect(() => Inner.encode({ ...value, size: 2 ** 53 }))
      .to.throw()
      .with.property('code', 'InvalidArgument')
    expect(() => Inner.encode({} as Inner)).to.throw('Inner.name is missing')
  })

  it('gives values of one shape, in whichever order their fields came', () => {
    interface Pair {
      readonly first: number
      readonly second: number
    }
    const Forth = message<Pair>('Pair', 1, { first: required(1, integer), second: required(2, integer) })
    const Back = message<Pair>('Pair', 1, { second: required(2, integer), first: required(1, integer) })
    const value = { first: 1, second: 2 }
    expect(Back.encode(value)).to.not.deep.equal(Forth.encode(value))
    expect(Object.keys(Forth.decode(Back.encode(value)))).to.deep.equal(['first', 'second'])
  })

  it('refuses a table with a name that is no identifier', () => {
    const define = (): unknown => message<object>('Odd', 1, { 'a b': required(1, integer) } as object)
    expect(define).to.throw('message Odd has a field "a b"')
  })
})
