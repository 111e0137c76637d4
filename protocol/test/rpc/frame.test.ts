import { expect } from 'chai'
import fc from 'fast-check'
import { CairnError, MESSAGE_BYTES_MAX, UNIT_BYTES } from '../../src/index.js'
import {
  FRAME,
  FRAME_HEAD_BYTES,
  type FrameHead,
  FrameParser,
  MESSAGE_CONTENT_BYTES_MAX,
  writeFrameHead,
} from '../../src/rpc/frame.js'
import { Outbox } from '../../src/rpc/outbox.js'

interface Frame {
  readonly head: FrameHead
  readonly content: Buffer
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const typesWithContent = [FRAME.request, FRAME.response, FRAME.data, FRAME.error, FRAME.hello]
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    head: fc.record({
      type: fc.constantFrom<number>(...typesWithContent),
      flags: fc.nat(255),
      stream: u32,
      a: u32,
      b: u32,
    }),
    content: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({
    head: fc.record({
      type: fc.constantFrom<number>(FRAME.end, FRAME.credit, FRAME.cancel, FRAME.ping, FRAME.pong),
      flags: fc.constant(0),
      stream: u32,
      a: u32,
      b: fc.constant(0),
    }),
    content: fc.constant(Buffer.alloc(0)),
  }),
)

function encode(frames: readonly Frame[]): Uint8Array[] {
  const outbox = new Outbox()
  for (const { head, content } of frames) outbox.append(head, content)
  return outbox.take()
}

function openParser(options: { copies: boolean } = { copies: false }): {
  parser: FrameParser
  parsed: Frame[]
} {
  const parsed: Frame[] = []
  const parser = new FrameParser((head, content) => parsed.push({ head: { ...head }, content }), options)
  parser.contentBytesMax = Number.POSITIVE_INFINITY
  return { parser, parsed }
}

/** Cuts `whole` at the given places, each a fraction of its length. */
function cut(whole: Buffer, fractions: readonly number[]): Buffer[] {
  const places = [0, ...fractions.map((part) => Math.floor(part * whole.length)), whole.length]
  places.sort((a, b) => a - b)
  return places.slice(1).map((end, index) => whole.subarray(places[index], end))
}

function head(type: number, contentBytes: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES)
  writeFrameHead(bytes, 0, { type, flags: 0, stream: 1, a: 0, b: 0 }, contentBytes)
  return bytes
}

function codeOf(action: () => void): string {
  try {
    action()
  } catch (error) {
    if (error instanceof CairnError) return error.code
    throw error
  }
  return 'none'
}

describe('FrameParser', () => {
  it('reads the same frames however their bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
        fc.boolean(),
        (frames, fractions, copies) => {
          const { parser, parsed } = openParser({ copies })
          for (const chunk of cut(Buffer.concat(encode(frames)), fractions)) {
            const reused = Buffer.from(chunk)
            parser.push(reused)
            if (copies) reused.fill(0xee)
          }
          expect(parsed).to.deep.equal(frames)
        },
      ),
    )
  })

  it('reads frames byte by byte', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 4 }), (frames) => {
        const { parser, parsed } = openParser()
        for (const byte of Buffer.concat(encode(frames))) parser.push(Buffer.from([byte]))
        expect(parsed).to.deep.equal(frames)
      }),
      { numRuns: 30 },
    )
  })

  it('hands on content inside one chunk as a view, and never copies what is large on the way out', () => {
    const content = Buffer.alloc(UNIT_BYTES, 3)
    const buffers = encode([{ head: { type: FRAME.data, flags: 0, stream: 1, a: 9, b: 0 }, content }])
    expect(buffers).to.have.length(2)
    expect(buffers[1]).to.equal(content)
    const { parser, parsed } = openParser()
    for (const buffer of buffers) parser.push(buffer as Buffer)
    expect(parsed[0]?.content.buffer).to.equal(content.buffer)
    expect(parsed[0]?.content.byteOffset).to.equal(content.byteOffset)
  })

  it('refuses frames above their limit by the head alone', () => {
    const limits = [
      [FRAME.data, UNIT_BYTES],
      [FRAME.request, MESSAGE_CONTENT_BYTES_MAX],
      [FRAME.response, MESSAGE_CONTENT_BYTES_MAX],
      [FRAME.error, MESSAGE_CONTENT_BYTES_MAX],
      [FRAME.cancel, 0],
      [200, MESSAGE_CONTENT_BYTES_MAX],
    ] as const
    for (const [type, limit] of limits) {
      expect(codeOf(() => openParser().parser.push(head(type, limit)))).to.equal('none')
      expect(codeOf(() => openParser().parser.push(head(type, limit + 1)))).to.equal('MessageTooLarge')
    }
    expect(MESSAGE_CONTENT_BYTES_MAX + FRAME_HEAD_BYTES).to.equal(MESSAGE_BYTES_MAX)
  })

  it('refuses anything large while its limit is that of a handshake', () => {
    const parser = new FrameParser(() => undefined, { copies: false })
    expect(codeOf(() => parser.push(head(FRAME.request, 100_000)))).to.equal('MessageTooLarge')
  })

  it('refuses a frame shorter than its head', () => {
    const short = head(FRAME.end, 0)
    short.writeUInt32LE(5, 0)
    expect(codeOf(() => openParser().parser.push(short))).to.equal('MessageCorrupt')
  })

  it('skips frames of a type it does not know', () => {
    const known: Frame = {
      head: { type: FRAME.data, flags: 0, stream: 4, a: 1, b: 0 },
      content: Buffer.from('known'),
    }
    const { parser, parsed } = openParser()
    parser.push(Buffer.concat([head(99, 5), Buffer.from('12345'), head(200, 0), ...encode([known])]))
    expect(parsed).to.deep.equal([known])
  })

  it('reads nothing more once it is stopped, also within one chunk', () => {
    let count = 0
    const parser: FrameParser = new FrameParser(
      () => {
        count++
        parser.stop()
      },
      { copies: false },
    )
    parser.push(Buffer.concat([head(FRAME.end, 0), head(FRAME.end, 0)]))
    expect(count).to.equal(1)
  })

  it('takes garbage as frames or as a typed error, never as anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
        const { parser } = openParser()
        codeOf(() => {
          for (const chunk of chunks) parser.push(Buffer.from(chunk))
        })
      }),
      { numRuns: 1000 },
    )
  })
})
