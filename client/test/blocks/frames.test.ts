import { expect } from 'chai'
import { FramePool } from '../../src/blocks/frames.js'
import { FRAME_BYTES, FRAMES_MAX, SPARE_FRAME_BYTES } from '../../src/limits.js'

describe('FramePool', () => {
  it('uses a frame again once its last holder has released it', () => {
    const pool = new FramePool()
    const frame = pool.take()
    frame.hold()
    frame.hold()
    frame.release()
    expect(pool.take()).to.not.equal(frame)
    frame.release()
    expect(pool.take()).to.equal(frame)
  })

  it('never uses a frame again that one of its holders has abandoned', () => {
    const pool = new FramePool()
    const frame = pool.take()
    frame.hold()
    frame.hold()
    frame.abandon()
    frame.release()
    expect(pool.take()).to.not.equal(frame)
  })

  it('gives small frames that it does not keep beyond its limit, and whole ones when there is room again', () => {
    const pool = new FramePool()
    const frames = Array.from({ length: FRAMES_MAX }, () => pool.take())
    for (const frame of frames) frame.hold()
    expect(frames.every(({ bytes }) => bytes.length === FRAME_BYTES)).to.equal(true)
    expect(pool.isShort).to.equal(true)
    const spare = pool.take()
    spare.hold()
    expect(spare.bytes.length).to.equal(SPARE_FRAME_BYTES)
    spare.release()
    expect(pool.take().bytes.length).to.equal(SPARE_FRAME_BYTES)
    frames[0]?.abandon()
    expect(pool.isShort).to.equal(false)
    expect(pool.take().bytes.length).to.equal(FRAME_BYTES)
  })
})
