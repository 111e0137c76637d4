import { createNetwork, systemClock, systemRandom } from '../../src/index.js'
import { describeNetwork, type NetworkWorld } from './network-conformance.js'

describeNetwork('createNetwork, local:', () => {
  const reported: NetworkWorld['reported'] = []
  const network = createNetwork({
    clock: systemClock,
    random: systemRandom,
    onError: (error, where) => where === 'talk' && reported.push({ error, where }),
  })
  return { network, address: 'local:server', reported, until: (promise) => promise }
})
