import type { Drive, Member } from '@cairn/protocol'
import { expect } from 'chai'
import { isWider, widestDomain } from '../../../src/core/cluster/failure-domains.js'

/** Drives of one server each: rack, host and capacity. */
function cluster(places: readonly (readonly [string, string, number])[]): {
  drives: Drive[]
  members: Map<string, Member>
} {
  const members = places.map(([rack, host], at): [string, Member] => [
    `s${at}`,
    { id: `s${at}`, address: `${host}:1`, zone: 'z', rack, host },
  ])
  const drives = places.map(
    ([, , capacityBytes], at): Drive => ({ id: `d${at}`, server: `s${at}`, state: 'up', capacityBytes }),
  )
  return { drives, members: new Map(members) }
}

function widest(places: readonly (readonly [string, string, number])[], replicas: number): string {
  const { drives, members } = cluster(places)
  return widestDomain(drives, members, replicas)
}

describe('failure domains', () => {
  it('are the widest of which there are as many as copies', () => {
    const racks = ['a', 'a', 'b', 'b', 'c', 'c'].map((rack, at) => [rack, `h${at}`, 100] as const)
    expect(widest(racks, 3)).to.equal('rack')
    expect(widest(racks.slice(0, 4), 3)).to.equal('host')
    expect(widest([...racks.slice(0, 2), ['a', 'h0', 100]], 3)).to.equal('drive')
    expect(widest(racks, 1)).to.equal('zone')
  })

  it('are not so wide that room is wasted', () => {
    const uneven = (small: number): (readonly [string, string, number])[] => [
      ...Array.from({ length: 4 }, (_, at) => ['a', `a${at}`, 100] as const),
      ...Array.from({ length: 4 }, (_, at) => ['b', `b${at}`, 100] as const),
      ['c', 'c0', small],
    ]
    expect(widest(uneven(400), 3)).to.equal('rack')
    expect(widest(uneven(100), 3)).to.equal('host')
  })

  it('are drives where there is nothing wider', () => {
    expect(widest([['a', 'h', 1]], 3)).to.equal('drive')
    expect(isWider('rack', 'host')).to.equal(true)
    expect(isWider('host', 'host')).to.equal(false)
  })
})
