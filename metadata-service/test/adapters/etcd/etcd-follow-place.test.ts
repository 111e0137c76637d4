import { expect } from 'chai'
import { FollowPlace } from '../../../src/adapters/etcd/etcd-follow-place.js'
import { EtcdKeys } from '../../../src/adapters/etcd/etcd-keys.js'
import type { EtcdEvent, WatchResponse } from '../../../src/adapters/etcd/etcd-messages.js'
import type { SourceChange } from '../../../src/ports-mirror.js'
import { bytes } from '../../conformance/subject.js'

const keys = new EtcdKeys('/p/')

function event(key: string, revision: number, version = 1): EtcdEvent {
  const kv = { key: keys.outside(bytes(key)), value: bytes(`${key}@${revision}`) }
  return { kv: { ...kv, create_revision: 1, mod_revision: revision, version } }
}

function takeAll(place: FollowPlace, ...answers: WatchResponse[]): SourceChange[] {
  return answers.flatMap((answer) => [...place.take(answer)])
}

function open(fromRevision: number): FollowPlace {
  return new FollowPlace({ keys, headKey: bytes('head') }, fromRevision)
}

describe('the place of a follower of etcd', () => {
  it('puts the events of one revision together, over fragments and answers', () => {
    const changes = takeAll(
      open(4),
      { events: [event('a', 5), event('head', 5, 1), event('a', 6)], fragment: true },
      { events: [event('b', 6)], fragment: true },
      { events: [event('head', 6, 2)] },
      { events: [event('head', 7, 3)] },
    )
    const told = changes.map(({ revision, events, headVersion }) => [revision, events.length, headVersion])
    expect(told).to.deep.equal([
      [5, 2, 1],
      [6, 3, 2],
      [7, 1, 3],
    ])
  })

  it('tells a deletion by the absence of a value', () => {
    const [change] = takeAll(open(4), { events: [{ ...event('a', 5), type: 1 }] })
    expect(change?.events).to.deep.equal([{ key: bytes('a') }])
  })

  const doubts: Record<string, WatchResponse[]> = {
    'an entry is missing between two heads': [
      { events: [event('head', 5, 7)] },
      { events: [event('head', 9, 9)] },
    ],
    'head was made anew': [{ events: [event('head', 5, 7)] }, { events: [event('head', 9, 1)] }],
    'a revision comes twice': [{ events: [event('a', 5)] }, { events: [event('b', 5)] }],
    'revisions go back': [{ events: [event('a', 7)] }, { events: [event('b', 6)] }],
    'something comes from before its start': [{ events: [event('a', 4)] }],
    'the watch is cancelled': [{ canceled: true, compact_revision: 9 }],
    'the store is older than the follower': [{ created: true, header: { revision: 3 } }],
  }
  for (const [why, answers] of Object.entries(doubts)) {
    it(`gives up when ${why}`, () => {
      const place = open(4)
      expect(() => takeAll(place, ...answers))
        .to.throw()
        .with.property('code', 'Busy')
    })
  }
})
