//! What can go wrong between us and the API server, in our own words.
//!
//! kube's and hyper's own error texts carry URLs and chains; none of them is printed.
